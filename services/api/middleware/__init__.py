"""Pure ASGI, so that context variables bound here reach the handlers and their logs."""
