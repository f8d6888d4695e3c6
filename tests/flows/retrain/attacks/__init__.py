"""Evidence that somebody chose, sent by file and over HTTP: none of it may get a challenger promoted."""
