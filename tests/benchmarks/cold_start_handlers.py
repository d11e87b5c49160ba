"""The task that costs nothing, for the workers of cold_start.py: it tells when they were up."""

from __future__ import annotations

import time

from muster.agents import Handlers
from muster.messages import Task

handlers = Handlers()

UP_AT = time.time()
"""A worker's handlers are the last that it loads."""


@handlers.task("nothing")
async def nothing(task: Task) -> float:
    """Do nothing, as fast as possible."""
    del task
    return UP_AT
