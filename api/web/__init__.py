"""Holds what every door over HTTP shares: who is asking, what is read of a request, how it is answered."""
