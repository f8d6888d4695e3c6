"""What the configuration page and the JSON schema are written from: the schema itself and its docstrings."""
