"""What costs callers something, or must not: measured side by side on one server."""
