"""Commands about what a use case is before anything learns: drafted from a file, and as it is configured."""
