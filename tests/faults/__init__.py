"""Faults on real stacks, and what docs/faults.md says of each: what callers see, what is lost, how it heals."""
