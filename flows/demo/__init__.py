"""`ratchet demo`: real rows that drift, and what the loop makes of them."""
