"""What is told of servers and use cases at a glance; how it is put into words and lines is outside."""
