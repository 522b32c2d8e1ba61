"""WhatsApp's Cloud API: what Meta sends, what it accepts, and what its answers mean."""
