"""Opens Redis, the only way to it, and holds what is decided inside it: lanes and rate limits."""
