"""Serves the part of the Graph API that the service calls, with Meta's answers and errors, a resource a module."""
