"""Files on their way between Meta and the file store."""
