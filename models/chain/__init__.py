"""A fallback chain, and what it may ask besides versions; how one version answers is outside."""
