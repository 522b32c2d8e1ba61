"""Serves the agents' desk in a browser: plain pages and forms, without a script."""
