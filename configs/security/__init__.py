"""What keeps strangers out: names that servers answer to, files of one user, texts that steer no terminal."""
