"""The flows, played."""
