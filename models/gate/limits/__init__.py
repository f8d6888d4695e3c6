"""What a challenger keeps to besides the metric: parts of the records, size, speed; `checks` decides."""
