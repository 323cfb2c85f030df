"""Broker backends: `sqlite` (embedded) and `rabbitmq` (distributed)."""
