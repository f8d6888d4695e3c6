"""Schedules and lengths of time as people write them; not the clock of records."""
