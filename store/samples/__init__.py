"""Rows drawn by chance from a snapshot of any size, where a part of them says enough; never all in memory."""
