"""What a retrain or a check costs beside its fit, on a whole stack of its own."""
