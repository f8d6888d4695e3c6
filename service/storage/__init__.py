"""Connections, threads that wait for them, the mover of the log, repeated requests; SQL is in store."""
