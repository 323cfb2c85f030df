"""The catalogue: the file that names models, styles and their defaults, read and checked."""
