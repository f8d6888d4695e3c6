"""What answers are worth, one definition each for judging and resampling; who is better is for the gate."""
