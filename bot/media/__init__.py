"""Moves media between Meta and the file store: customers' files to us, agents' files to Meta."""
