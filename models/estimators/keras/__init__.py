"""Networks in Keras and what they share: imports, training to watch and take up; no other estimator."""
