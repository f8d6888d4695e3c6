"""Two servers on addresses of their own, behind a router that can lose what they send."""
