"""Addresses and proxies: how services listen, are reached and prove to be ours."""
