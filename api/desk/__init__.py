"""The agents' desk in a browser: plain pages and forms, and no script."""
