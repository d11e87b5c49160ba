"""`python -m muster.agents.command` is the command `muster`."""

from __future__ import annotations

from .application import main

main()
