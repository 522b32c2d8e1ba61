"""What is wrong with a set-up, check by check: why, and how to mend it."""
