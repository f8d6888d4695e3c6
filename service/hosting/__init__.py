"""How BentoML hosts the service: its process manager and where it listens; routes are outside."""
