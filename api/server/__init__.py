"""The process that serves, and its socket."""
