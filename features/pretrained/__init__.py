"""What networks of others need whatever they read: graphs written from weights, sessions, vectors kept."""
