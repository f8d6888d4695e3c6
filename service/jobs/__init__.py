"""Predictions asked for now and answered later, by any worker; how they are answered is in answers."""
