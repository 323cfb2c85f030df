"""Commercial Studio Photos Generator: a Web-Queue-Worker for generative models."""
