"""What the gateway and the worker agree on; imports neither of them."""
