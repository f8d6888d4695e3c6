"""The tables of Ratchet's own routes: which path is answered by which part; the work is done elsewhere."""
