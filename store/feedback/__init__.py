"""Labelled rows: checked and stored once each, or kept with the reason; answers they label are outside."""
