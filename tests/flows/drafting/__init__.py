"""Tests of what is drafted from a file."""
