"""The columns of a file, sorted into keys of a row, fields to learn from, and what is left out."""
