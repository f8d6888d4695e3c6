"""What learns, one module an estimator, behind one contract; encoding and judging are outside."""
