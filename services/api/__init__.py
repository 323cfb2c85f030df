"""The gateway: HTTP in, jobs out. Never imports torch."""
