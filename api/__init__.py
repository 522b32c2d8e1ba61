"""Holds what others reach over HTTP or from a terminal: webhook, agents' API, desk, simulator, command line."""
