"""Our number and our account at Meta: how they are, and what Meta tells of them."""
