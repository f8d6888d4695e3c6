"""The OpenAPI document: put together from paths; the routes themselves are in routes."""
