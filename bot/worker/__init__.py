"""Plays what waits in the lanes, round after round."""
