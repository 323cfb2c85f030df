"""The process that opens one file of a client. It imports nothing of the gateway, and has no secrets to lose."""
