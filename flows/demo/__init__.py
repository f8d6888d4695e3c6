"""`ratchet demo`: a scenario with real rows that drift, played on servers of its own."""
