"""`reminder_timer`: a message that comes when its time has come."""

from __future__ import annotations

import asyncio

from .arguments import check_seconds
from .progress import HasProgress

_SHORTEST_STEP_S = 0.1
_STEPS = 100


async def reminder_timer(task: HasProgress, duration_seconds: float, message: str) -> str:
    """Count down, and then give back the message.

    Args:
        task: is told how much of the time has passed.
        duration_seconds: how long, 0 or more.
        message: what to remind of.

    Returns:
        The message.

    Raises:
        InvalidInput: the duration is no number, below 0, or without an end.
    """
    check_seconds("duration_seconds", duration_seconds)
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    step_s = max(duration_seconds / _STEPS, _SHORTEST_STEP_S)
    while (passed_s := loop.time() - began_at) < duration_seconds:
        task.progress = 100 * passed_s / duration_seconds
        await asyncio.sleep(min(step_s, duration_seconds - passed_s))
    task.progress = 100.0
    return message
