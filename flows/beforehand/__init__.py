"""What is asked of use cases, and of the variables of tools, as they come to serve; some by own processes."""
