"""The process that serves: its event loop and signals, its HTTP server and socket, and the supervisor of several."""
