"""Examines a set-up check by check, and says what is wrong, why, and how to fix it: the doctor."""
