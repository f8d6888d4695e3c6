"""What a challenger keeps to besides the metric: slices of the records; what becomes of it is in `checks`."""
