"""One job of the worker: its lease and heartbeat, its items, its outcome and its figures."""
