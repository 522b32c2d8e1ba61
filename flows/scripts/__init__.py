"""The conversations as tables, with their guards, actions and sentences."""
