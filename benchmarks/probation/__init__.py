"""Promoted versions and those who label: who takes one back, simulated."""
