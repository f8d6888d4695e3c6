"""What a request costs beyond its model: CPU of the service by part, alone and beside a retrain."""
