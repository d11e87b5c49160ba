"""The command line: `muster run`, `scenarios`, `manager`, `worker` and `why`."""

from __future__ import annotations

from .application import main

__all__ = ["main"]
