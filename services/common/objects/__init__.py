"""Object store backends: `filesystem` (embedded) and `s3` (distributed)."""
