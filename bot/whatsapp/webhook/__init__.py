"""Reading what Meta sends to the webhook: bytes become items and events. Pure."""
