"""Answers that were given: the log, the rows it becomes, and how good they were once labels came."""
