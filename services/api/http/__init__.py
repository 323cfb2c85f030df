"""HTTP parts that all routes share: endpoints, authorization, limits, problems, views and headers."""
