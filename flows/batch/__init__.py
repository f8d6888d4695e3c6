"""What a command does with one version over many rows: evaluate, predict a file; serving is elsewhere."""
