"""Status store backends: `sqlite` (embedded) and `redis` (distributed)."""
