"""Metrics, traces and the page that serves them."""
