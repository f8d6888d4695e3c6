"""What every command shares: the application, its errors and exit codes, arguments, output, progress."""
