"""What a challenger keeps to besides the metric: parts of the records, calibration, costs; see `checks`."""
