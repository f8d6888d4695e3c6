"""Labels that arrive by request: each checked, and stored before they are acknowledged."""
