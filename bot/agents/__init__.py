"""Makes the changes of agents, each in one transaction that holds its customer's lock (the fence)."""
