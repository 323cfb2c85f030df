"""The one package that knows the insides of diffusers' pipelines."""
