"""Schedules: when they are due, the tasks they make, and the table that shows them."""
