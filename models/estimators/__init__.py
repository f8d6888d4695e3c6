"""Estimators, one module each, behind one contract; encoding and judging are outside."""
