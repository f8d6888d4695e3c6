"""What the benchmarks share: servers started and set up, the model they serve, and clients that put load."""
