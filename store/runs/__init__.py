"""Runs of the loop: asked for, waiting, under way, over; the steps that they take are in flows."""
