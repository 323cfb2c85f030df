"""The worker: queue in, artifacts out."""
