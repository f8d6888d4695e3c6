"""Whether a challenger is better: metrics, resampling, checks, the decision; acting on it is outside."""
