"""The conversations themselves, each a table in a file of its own, and their sentences."""
