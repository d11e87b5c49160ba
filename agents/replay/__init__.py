"""Replays a recorded run with another matching policy, as an estimate."""
