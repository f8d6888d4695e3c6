"""How BentoML hosts the service: its process manager, where it listens; what it serves is outside."""
