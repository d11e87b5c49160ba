"""Runs the command `muster` with `python -m muster.agents.command`."""

from __future__ import annotations

from .app import main

main()
