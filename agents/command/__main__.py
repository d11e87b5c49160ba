"""`python -m muster.agents.command` is the command `muster`."""

from __future__ import annotations

from .app import main

main()
