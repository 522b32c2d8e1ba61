"""Everything that others reach over HTTP or from a terminal: the webhook, the agents' API, the desk, the command line."""
