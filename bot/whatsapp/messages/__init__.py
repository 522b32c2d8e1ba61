"""Builds the body of POST /messages within WhatsApp's limits. Pure: no I/O, no clock."""
