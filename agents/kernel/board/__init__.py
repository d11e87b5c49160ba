"""The board: the state of a run, and what each event changes in it."""
