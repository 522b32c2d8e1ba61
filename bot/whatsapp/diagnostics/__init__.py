"""What the doctor alone asks of Meta, and of our own public address."""
