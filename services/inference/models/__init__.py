"""Model adapters, one module per modality."""
