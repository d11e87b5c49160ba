"""The background actions as handlers of a `WorkerAgent`.

`muster worker --handlers muster.agents.actions.for_workers` serves them from the command line.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from ...messages import InvalidInput, Task
from ...messages.wording import show
from ..handlers import Handlers, TaskContext
from .batch_search import SearchReport, batch_web_search
from .download import Download, download_file
from .health_check import HealthReport, periodic_health_check
from .reminder import reminder_timer
from .search_engines import SearchEngine


def action_handlers(
    download_folder: str | Path = "downloads", *, engine: SearchEngine | None = None
) -> Handlers:
    """Handlers for tasks of the types that are called like the actions.

    Such a task's data are the action's arguments by name, without the task itself.

    Args:
        download_folder: where downloads go; a task names its destination within it, and can write
            nowhere else.
        engine: where `batch_web_search` searches; `WikipediaEngine()` if None.
    """
    folder = Path(download_folder)
    handlers = Handlers()

    @handlers.task("download_file")
    async def download(task: Task, context: TaskContext) -> Download:
        arguments = _arguments(download_file, task)
        arguments["destination"] = _within(folder, arguments["destination"])
        return await download_file(_ContextProgress(context), **arguments)

    @handlers.task("reminder_timer")
    async def remind(task: Task, context: TaskContext) -> str:
        return await reminder_timer(_ContextProgress(context), **_arguments(reminder_timer, task))

    @handlers.task("periodic_health_check")
    async def check(task: Task, context: TaskContext) -> HealthReport:
        arguments = _arguments(periodic_health_check, task)
        return await periodic_health_check(_ContextProgress(context), **arguments)

    @handlers.task("batch_web_search")
    async def search(task: Task, context: TaskContext) -> SearchReport:
        arguments = _arguments(batch_web_search, task)
        if "engine" in arguments:
            raise InvalidInput("data['engine'] can't travel; give the engine to action_handlers()")
        return await batch_web_search(_ContextProgress(context), engine=engine, **arguments)

    # They are the handlers' now; the names here only serve messages.
    del download, remind, check, search
    return handlers


class _ContextProgress:
    """A worker's task, as an action tells it how far it has come."""

    def __init__(self, context: TaskContext) -> None:
        self._context = context
        self._percent = 0.0

    @property
    def progress(self) -> float:
        return self._percent

    @progress.setter
    def progress(self, percent: float) -> None:
        self._percent = percent
        self._context.progress(percent)


def _arguments(action: Callable[..., object], task: Task) -> dict[str, Any]:
    """The arguments that a task brings for an action."""
    if not isinstance(task.data, dict):
        raise InvalidInput(
            f"data is {show(task.data)}; a task of type {task.type!r} needs a dict of arguments by "
            "their names"
        )
    arguments = dict(cast("dict[str, Any]", task.data))
    try:
        inspect.signature(action).bind(None, **arguments)
    except TypeError as fault:
        raise InvalidInput(f"the data of a task of type {task.type!r} don't fit: {fault}") from None
    return arguments


def _within(folder: Path, destination: object) -> Path:
    inside = folder / destination if isinstance(destination, str) else folder
    if inside.resolve() == folder.resolve() or not inside.resolve().is_relative_to(
        folder.resolve()
    ):
        raise InvalidInput(
            f"destination is {show(destination)}; it must be the path of a file within the "
            "worker's folder for downloads"
        )
    return inside


handlers = action_handlers()
"""Those that the command line serves: downloads go to ./downloads, searches to Wikipedia."""
