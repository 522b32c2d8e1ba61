"""Asks what only the doctor wants to know: of Meta about the set-up, and of our own public address."""
