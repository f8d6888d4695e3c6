"""Predictions asked for now and answered later, by any worker."""
