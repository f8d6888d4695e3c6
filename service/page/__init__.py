"""The page at /ui: its files, and what it has to know of a use case."""
