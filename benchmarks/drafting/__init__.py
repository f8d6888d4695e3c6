"""`ratchet new` and `ratchet up` on tables that nobody chose it on."""
