"""What every estimator and encoder keeps to, as checks for a class of anybody: `ratchet check-estimator`."""
