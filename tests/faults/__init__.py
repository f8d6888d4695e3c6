"""Faults on real stacks, compared with docs/faults.md: what callers see, what is lost, how it heals."""
