"""Tickets, secrets, and the choice of the seal."""
