"""The networks of others that have a name in configurations: which package carries each, and its digests."""
