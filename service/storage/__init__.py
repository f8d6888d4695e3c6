"""The service's side of the store: its connections, the mover of its log, keys of repeated requests."""
