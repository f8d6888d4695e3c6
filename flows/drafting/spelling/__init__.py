"""How values of a file are written: numbers with marks and units, and what stands for no value."""
