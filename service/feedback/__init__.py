"""Labels that arrive by request: checked, stored before they are acknowledged; their rows are in store."""
