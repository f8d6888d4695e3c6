"""Servers that share a database: promotions, one that is cut off, restarts behind a load balancer."""
