"""Networks in Keras, and what they share: imports, training that can be watched, taken up again, exported."""
