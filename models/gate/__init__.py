"""Whether a challenger is better: metrics, resampling, comparison, checks, the decision with its evidence."""
