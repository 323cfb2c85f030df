"""What `RabbitMQBroker` is made of: deadlines, names and arguments, one session, subscriptions, dead letters."""
