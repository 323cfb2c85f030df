"""Batching: which items of which jobs share one call of the model."""
