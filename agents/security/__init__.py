"""Tickets and secrets, and the seal that they make."""
