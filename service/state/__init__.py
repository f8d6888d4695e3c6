"""What can be read about the service: health, quality, versions, drift, traces; nothing is changed."""
