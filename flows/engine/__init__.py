"""How any table of a conversation runs; it knows no sentence of any."""
