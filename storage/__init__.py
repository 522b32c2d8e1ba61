"""What is remembered: SQL and Redis. Only home of `tortoise` and `redis`."""
