"""A classifier of tables in PyTorch."""
