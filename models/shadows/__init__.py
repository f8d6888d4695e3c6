"""What past challengers were worth on rows that came after them, and what it proves: no store, no MLflow."""
