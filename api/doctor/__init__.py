"""Examines a set-up check by check, and says what is wrong, why, and how to mend it: the doctor."""
