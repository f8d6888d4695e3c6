"""The page at /ui: its files, and the fields of a use case that it draws; what it asks is in routes."""
