"""Keeps a copy of the message templates at Meta, and chooses which of them carries which notice."""
