"""Weights that come over the network: from a package of Python's index, or from the hub."""
