"""The worker: plays what waits in the lanes, round after round."""
