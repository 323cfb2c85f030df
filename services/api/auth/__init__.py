"""Authentication: API keys, sessions, visitors, and the origin and address of a request."""
