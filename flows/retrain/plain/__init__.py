"""A plain model beside the configured ones: what it is made of, when it may serve, and what is told of it."""
