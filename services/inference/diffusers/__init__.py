"""All that knows the insides of diffusers' pipelines."""
