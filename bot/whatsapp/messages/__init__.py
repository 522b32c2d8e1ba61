"""Building the body of POST /messages: what WhatsApp takes, in its limits. Pure."""
