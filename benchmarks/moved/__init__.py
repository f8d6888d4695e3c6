"""What it saves and costs that old predictions lie in a table."""
