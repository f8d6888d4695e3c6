"""Connections of a worker: who is taken in, turned away, cut off or closed for another."""
