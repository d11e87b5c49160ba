"""Reliable delivery over a transport that loses, doubles and reorders frames."""
