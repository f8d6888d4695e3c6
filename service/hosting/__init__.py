"""How BentoML hosts the service: its process manager, and the address that it listens on."""
