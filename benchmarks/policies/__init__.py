"""The default policy replayed over streams that it was not chosen on, and its gate over many nights."""
