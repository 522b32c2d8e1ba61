"""Calls the Graph API over HTTP, and reads what its responses mean."""
