"""The intake: a signed webhook body becomes durable items, each with its customer."""
