"""Cache backends: `sqlite` (embedded) and `redis` (distributed)."""
