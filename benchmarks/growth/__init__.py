"""What size costs: fits of millions of made-up rows, their memory and their time."""
