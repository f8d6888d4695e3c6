"""What the service tells: health, quality, versions, drift, traces, and numbers for who watches it."""
