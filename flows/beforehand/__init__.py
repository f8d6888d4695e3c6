"""What is asked before anything runs, by processes of their own: use cases, and the variables of tools."""
