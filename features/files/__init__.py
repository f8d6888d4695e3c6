"""Labelled files and data sets, read and written in batches; storing their rows is outside."""
