"""Stories that run: one a file."""
