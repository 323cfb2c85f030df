"""The link to Redis and the clock of Redis, which the backends there share."""
