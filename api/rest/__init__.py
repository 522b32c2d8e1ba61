"""Serves the agents' REST API, one resource a file."""
