"""What is remembered: in SQL, in Redis, and as the bytes of files. Only home of `tortoise`, `redis` and `obstore`."""
