"""What every door over HTTP shares: who is asking, what is read, how it is answered."""
