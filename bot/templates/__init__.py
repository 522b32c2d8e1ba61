"""Message templates: the copy of what Meta has approved, and which of them carries what."""
