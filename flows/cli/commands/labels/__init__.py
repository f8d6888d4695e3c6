"""Commands on labelled rows: files in, refused ones, renamed labels; what is learned of them is outside."""
