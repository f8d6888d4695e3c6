"""What past challengers were worth on rows that came after them, and their copies: no store, no MLflow."""
