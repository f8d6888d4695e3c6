"""What commands do with one version: evaluate, export, predict a file; serving is in service."""
