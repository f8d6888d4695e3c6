"""One module for the paths that belong together, as the OpenAPI document describes them."""
