"""The `studio` commands, below the command line itself."""
