"""`ratchet demo`: a scenario with real rows that drift, on servers of its own; nothing else imports it."""
