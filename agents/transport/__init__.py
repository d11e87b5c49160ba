"""Carries messages between processes: Ceylon, lanes, direct connections, discovery."""
