"""The model thread and its contract: adapters, where they come from, and the outputs they return."""
