"""Challengers made by the processes of a pool: what is sent there, what they do, and what comes back."""
