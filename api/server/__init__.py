"""Runs the process that serves: its event loop and signals, its HTTP server and socket, the supervisor of several."""
