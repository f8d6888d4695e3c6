"""Commands by which a person steers what serves and what is tried beside it, and sees what became of both."""
