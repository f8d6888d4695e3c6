"""Asks another version about live records, by a process that comes last everywhere; telling is outside."""
