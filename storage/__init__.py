"""Keeps what is remembered: in SQL, in Redis, and as bytes of files. Only home of `tortoise`, `redis` and `obstore`."""
