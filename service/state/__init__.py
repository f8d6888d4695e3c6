"""What can be read about the service: health, quality, versions, drift, traces, gauges for Prometheus."""
