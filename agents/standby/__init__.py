"""Managers that stand by, and lead a run once its store is free."""
