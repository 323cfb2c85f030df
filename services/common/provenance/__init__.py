"""The mark that says how a file was made, in the files that we write and in those that we are shown."""
