"""Picture files to levels of a shape: what a header says, and decoding; fields and arrays are outside."""
