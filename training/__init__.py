"""Trains studio-tiny: rendered photos, captions as people type them, three small networks, and a judge of results."""
