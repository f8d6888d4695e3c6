"""One reader for each kind of file, in batches of bounded size; which reads a file is chosen outside."""
