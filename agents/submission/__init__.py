"""Tasks submitted to a manager, and their results."""
