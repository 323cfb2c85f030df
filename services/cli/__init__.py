"""What the `studio` commands do, below the command line itself."""
