"""The formats in which a stored file can be had: which there are, and how each kind of file is converted."""
