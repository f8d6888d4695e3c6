"""Texts as vectors by a sentence transformer: where it is found, its graph, and its answers."""
