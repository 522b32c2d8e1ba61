"""What agents do, each change in one transaction behind the fence of its customer."""
