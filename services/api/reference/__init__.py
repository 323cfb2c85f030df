"""The documentation of the API, made from its table of endpoints: /openapi.json and /docs."""
