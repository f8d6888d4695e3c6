"""Flow runs that are forked from a process that has the flows imported."""
