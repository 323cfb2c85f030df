"""Commercial Studio Photos Generator: a Web-Queue-Worker for generative models."""

__version__ = "0.1.0"
