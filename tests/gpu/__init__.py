"""Tests that need a CUDA device; only `just test-gpu` runs them."""
