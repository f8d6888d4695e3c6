"""Looks at a promoted version beside the one before it, and takes it back where that is proven better."""
