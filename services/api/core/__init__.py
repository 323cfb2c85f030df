"""The gateway's half of the protocol: accept, publish, sweep, estimate. Imports no HTTP framework."""
