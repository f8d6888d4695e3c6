"""What a replay leaves to look at: a picture, and an experiment in MLflow."""
