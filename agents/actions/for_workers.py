"""The background actions as handlers of a `WorkerAgent`.

`muster worker --handlers muster.agents.actions.for_workers` serves them from the command line.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

from ...messages import InvalidInput, Task
from ...messages.wording import show
from ..execution.handlers import Handlers, TaskContext
from ..web.addresses import AddressRules, networks_of_environment
from ..web.guarded_transport import GuardedTransport
from .batch_search import SearchReport, batch_web_search
from .download import Download, download_file
from .health_check import HealthReport, periodic_health_check
from .reminder import reminder_timer
from .search_engines import SearchEngine


def action_handlers(
    download_folder: str | Path = "downloads",
    *,
    engine: SearchEngine | None = None,
    allow: Iterable[str] | None = None,
) -> Handlers:
    """Handlers for tasks of the types that are called like the actions.

    Such a task's data are the action's arguments by name, without the task itself. Whoever adds
    the task chooses the address, so downloads and health checks go only to public addresses and
    to those that are allowed, also where they are redirected, as scraping does.

    Args:
        download_folder: where downloads go; a task names its destination within it, and can write
            nowhere else.
        engine: where `batch_web_search` searches; `WikipediaEngine()` if None.
        allow: networks that are allowed although they are not public, such as "10.1.0.0/16"; by
            default those of the environment variable `MUSTER_WEB_ALLOW`.

    Raises:
        InvalidInput: what is to be allowed is no network.
    """
    folder = Path(download_folder)
    given = None if allow is None else AddressRules(allow)
    handlers = Handlers()

    def transport() -> GuardedTransport:
        return GuardedTransport(given or AddressRules(networks_of_environment()))

    @handlers.task("download_file")
    async def download(task: Task, context: TaskContext) -> Download:
        arguments = _arguments(download_file, task, ("transport",))
        arguments["destination"] = _within(folder, arguments["destination"])
        return await download_file(_ContextProgress(context), transport=transport(), **arguments)

    @handlers.task("reminder_timer")
    async def remind(task: Task, context: TaskContext) -> str:
        return await reminder_timer(_ContextProgress(context), **_arguments(reminder_timer, task))

    @handlers.task("periodic_health_check")
    async def check(task: Task, context: TaskContext) -> HealthReport:
        arguments = _arguments(periodic_health_check, task, ("transport",))
        return await periodic_health_check(
            _ContextProgress(context), transport=transport(), **arguments
        )

    @handlers.task("batch_web_search")
    async def search(task: Task, context: TaskContext) -> SearchReport:
        arguments = _arguments(batch_web_search, task, ("engine",))
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


def _arguments(
    action: Callable[..., object], task: Task, the_workers: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The arguments that a task brings for an action.

    Args:
        action: the action.
        task: the task.
        the_workers: which arguments are the worker's to decide.
    """
    if not isinstance(task.data, dict):
        raise InvalidInput(
            f"data is {show(task.data)}; a task of type {task.type!r} needs a dict of arguments by "
            "their names"
        )
    arguments = dict(cast("dict[str, Any]", task.data))
    for name in the_workers:
        if name in arguments:
            raise InvalidInput(
                f"data[{name!r}] can't travel: the worker decides it; see action_handlers()"
            )
    try:
        inspect.signature(action).bind(None, **arguments)
    except TypeError as fault:
        raise InvalidInput(f"the data of a task of type {task.type!r} don't fit: {fault}") from None
    return arguments


def _within(folder: Path, destination: object) -> Path:
    inside = folder / destination if isinstance(destination, str) else folder
    try:
        resolved = inside.resolve()
    except (OSError, RuntimeError, ValueError) as fault:
        raise InvalidInput(f"destination is {show(destination)}: {fault}") from None
    if resolved == folder.resolve() or not resolved.is_relative_to(folder.resolve()):
        raise InvalidInput(
            f"destination is {show(destination)}; it must be the path of a file within the "
            "worker's folder for downloads"
        )
    return inside


handlers = action_handlers()
"""Those that the command line serves: downloads go to ./downloads, searches to Wikipedia."""
