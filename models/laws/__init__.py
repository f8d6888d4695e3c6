"""What every estimator keeps to, as checks for a class of anybody: `ratchet check-estimator`."""
