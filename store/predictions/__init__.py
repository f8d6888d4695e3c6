"""Answers that were given: the log, its rows, how good they were once labels came; giving them is outside."""
