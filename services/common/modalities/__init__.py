"""The modalities: what a job of each kind is given, what it makes, and what that costs. One module a family."""
