"""A promoted version beside the one before it, on labels that come later."""
