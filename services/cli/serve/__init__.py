"""The commands that run services: gateway, worker, and both with one command."""
