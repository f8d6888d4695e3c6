"""The labelled rows of one moment, split, in a file named by its content; what is learned is outside."""
