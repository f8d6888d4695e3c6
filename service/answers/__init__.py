"""A record's way: read, join a batch, ask the version, write answer and log; which version is in swap."""
