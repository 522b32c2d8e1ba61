"""Takes over what the original system kept: its tickets, replies and files, from its own tables into ours.

Invariants
- The original's tables are only read.
- Whenever it is ended, however often, it goes on where it was: a batch and the word that it was copied are one
  transaction, and everything has the id that its row gives it.
- What can't be read is kept in the original's own words, as a note on its ticket.
"""
