"""What keeps strangers out: names servers answer to, whose files are whose, texts made harmless; not keys."""
