"""Pictures of a file to be drafted: pixel columns, columns of picture files or their names, class folders."""
