"""Reads what REST and the desk both show of stored rows, and puts it into words."""
