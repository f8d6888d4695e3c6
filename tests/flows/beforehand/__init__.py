"""Mirrors flows/beforehand: real processes that are asked, and what is told of them."""
