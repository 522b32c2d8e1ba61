"""Tests of the simulator, with an echo service in Tick's place, and of its page in a real browser."""
