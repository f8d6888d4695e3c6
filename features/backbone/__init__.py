"""Pictures as vectors by a network that others have trained: where it is found, its graph, its answers."""
