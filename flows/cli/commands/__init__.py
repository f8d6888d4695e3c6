"""The commands of `ratchet`, a module for those that belong together; the work is done elsewhere."""
