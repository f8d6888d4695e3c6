"""Runs over HTTP: asked for, followed, stopped, and going back; the runs themselves are in flows."""
