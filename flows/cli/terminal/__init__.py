"""What every command shares: the application, exit codes, arguments, output, progress; no command."""
