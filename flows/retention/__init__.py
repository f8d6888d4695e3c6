"""What grows with use is deleted when it is old: rows, MLflow runs, files; old versions are not among it."""
