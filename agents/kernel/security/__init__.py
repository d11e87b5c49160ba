"""Seals frames, and decides which peers are believed."""
