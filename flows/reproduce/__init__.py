"""A registered version made again from its record and compared; nothing is registered or kept."""
