"""The worker: consumes deliveries, runs attempts, stores artifacts and reports its health."""
