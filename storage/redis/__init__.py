"""The only door to Redis, and what is decided inside it: lanes and rate limits."""
