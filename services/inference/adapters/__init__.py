"""Model adapters: one module for each modality or engine."""
