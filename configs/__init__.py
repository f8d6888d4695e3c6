"""What is configured: use cases and settings, read and checked; what is done with them is outside."""
