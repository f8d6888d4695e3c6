"""All that spans machines at once: two servers and a second worker on a network, TLS, S3 and Dask."""
