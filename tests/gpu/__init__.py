"""What only a CUDA device can show; `just test-gpu` runs it, and nothing else does."""
