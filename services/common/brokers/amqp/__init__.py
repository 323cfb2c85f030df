"""The parts of `RabbitMQBroker`: deadlines, names and arguments, one session, subscriptions, dead letters."""
