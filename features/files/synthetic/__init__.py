"""Data that are made up, repeatable by their seed; which data set has which name is outside."""
