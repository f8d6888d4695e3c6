"""Predictions asked for now and answered later: taken in, told of, and answered by any worker."""
