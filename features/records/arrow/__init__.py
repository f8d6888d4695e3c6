"""Columns of files, as Arrow tables, to checked columns of records; reading the files is outside."""
