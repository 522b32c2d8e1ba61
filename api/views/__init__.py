"""What REST and the desk both show of the stored rows, and the words for it."""
