"""Sends the rows of the outbox to Meta, each lane in its order."""
