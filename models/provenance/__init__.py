"""What a fit was given, and by what: enough to make a version again; how it fits is in `models.versions`."""
