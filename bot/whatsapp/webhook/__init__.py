"""Reads what Meta sends to the webhook: bytes become items, and stored items become events. Pure: no I/O, no clock."""
