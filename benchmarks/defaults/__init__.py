"""Ratchet by its defaults beside a plain line of scikit-learn, on data that others collected; no servers."""
