"""The paths of the OpenAPI document, a module for those that belong together; not the routes themselves."""
