"""Holds the conversations as tables, with their guards, actions and sentences."""
