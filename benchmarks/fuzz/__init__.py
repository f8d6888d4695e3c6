"""Files of any kind, made up to be hard to read, and what the readers make of each."""
