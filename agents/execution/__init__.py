"""Runs a handler for one attempt, and turns how it ended into a result."""
