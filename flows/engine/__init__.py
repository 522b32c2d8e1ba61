"""Runs a flow's table: its parts, the check of it, and the state machine. It knows no sentence of any flow."""
