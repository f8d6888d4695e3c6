"""A version that won and answers a share of the requests, before it may become production."""
