"""The insides of the libraries that speak and listen: voices, the script of a text, stretches of a recording."""
