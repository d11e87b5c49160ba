"""`reminder_timer`: returns a message after a delay."""

from __future__ import annotations

import asyncio

from .arguments import check_seconds
from .progress import HasProgress

_SHORTEST_STEP_S = 0.1
_STEPS = 100


async def reminder_timer(task: HasProgress, duration_seconds: float, message: str) -> str:
    """Wait, and then return the message.

    Args:
        task: its progress is set to the share of the time that has passed.
        duration_seconds: how long to wait, 0 or more.
        message: the message.

    Returns:
        The message.

    Raises:
        InvalidInput: the duration is not a number, negative or infinite.
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
