"""The labelled rows of one moment, split and frozen in a file named by its content."""
