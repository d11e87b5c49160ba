"""The task types for measurements, and their handlers in worker processes."""

from __future__ import annotations

from ...messages import Payload, Task
from ..execution.handlers import Handlers
from .peak_memory import measure_peak_memory

NOTHING = "bench.nothing"
ECHO = "bench.echo"
MEMORY = "bench.memory"

handlers = Handlers()


@handlers.task(NOTHING)
async def nothing(task: Task) -> Payload:
    """Do nothing, and return the task's number."""
    return task.data["n"]


@handlers.task(ECHO)
async def echo(task: Task) -> Payload:
    """Return the payload."""
    return task.data


@handlers.task(MEMORY)
async def peak_memory(task: Task) -> Payload:
    """Return the peak memory of the worker's process, in bytes."""
    del task
    return measure_peak_memory()
