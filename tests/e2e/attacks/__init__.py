"""Evidence that somebody chose, sent to a whole stack: none of it may get a challenger promoted."""
