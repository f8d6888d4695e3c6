"""A plain model beside the configured ones."""
