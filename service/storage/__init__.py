"""The service's side of the store: connections, the mover of its log, answers to repeated requests."""
