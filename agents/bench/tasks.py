"""The tasks that are measured with, and the handlers that do them in worker processes."""

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
    """Do nothing, and tell which one of many it was that was not done."""
    return task.data["n"]


@handlers.task(ECHO)
async def echo(task: Task) -> Payload:
    """Give back what was given."""
    return task.data


@handlers.task(MEMORY)
async def tell_peak_memory(task: Task) -> Payload:
    """The most memory that the worker's process has had resident, in bytes."""
    del task
    return measure_peak_memory()
