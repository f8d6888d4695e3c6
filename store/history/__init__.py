"""Labelled rows as a table that other engines read too; each is written once, whatever is trained."""
