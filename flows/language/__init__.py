"""How words are compared and fitted into what WhatsApp takes."""
