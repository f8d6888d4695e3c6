"""Sources of labels: counted, held back and released."""
