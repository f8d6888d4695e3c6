"""Challengers judged on held-out rows: by what circumstances, and where a plain model stands beside them."""
