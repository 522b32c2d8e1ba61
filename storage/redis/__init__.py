"""The only door to Redis, and the two things that are decided inside it: lanes and rate limits."""
