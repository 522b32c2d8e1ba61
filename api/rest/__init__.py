"""The agents' API, one resource a file."""
