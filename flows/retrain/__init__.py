"""The steps of a retrain, in the order in which `flows.loop` takes them; rules they follow are in models."""
