"""The Graph API over HTTP: requests, and what their responses mean."""
