"""What grows with the history: queries, rows read and memory at sizes far above those of a test."""
