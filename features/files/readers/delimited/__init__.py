"""Rows of text with a separator between values (CSV, TSV); where files are opened is outside."""
