"""What a model sees: records as they are checked, read from files, and turned into numbers; no database."""
