"""Runnable scenarios, one in each file."""
