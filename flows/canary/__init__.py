"""Looks at what is tried on a share of the requests: it becomes production, or is taken back."""
