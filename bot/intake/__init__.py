"""Turns a signed webhook body into durable items, each with its customer."""
