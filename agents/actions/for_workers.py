"""The background actions as handlers of a `WorkerAgent`.

On the command line: `muster worker --handlers muster.agents.actions.for_workers`.
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
    """Create handlers for tasks whose types are the names of the actions.

    The data of such a task is a dict of the action's arguments, without the task itself. Whoever
    adds the task chooses the URL, so downloads and health checks connect only to public addresses
    and to allowed ones, also after redirects, as scraping does.

    Args:
        download_folder: the folder of downloads; a task's destination is relative to it, and must
            be inside it.
        engine: the search engine of `batch_web_search`; `WikipediaEngine()` if None.
        allow: networks to allow although they are not public, such as "10.1.0.0/16"; by default
            those in the environment variable `MUSTER_WEB_ALLOW`.

    Raises:
        InvalidInput: an entry of `allow` is not a network.
    """
    folder = Path(download_folder)
    rules = None if allow is None else AddressRules(allow)
    handlers = Handlers()

    def transport() -> GuardedTransport:
        return GuardedTransport(rules or AddressRules(networks_of_environment()))

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

    # They are registered; the names are not needed any more.
    del download, remind, check, search
    return handlers


class _ContextProgress:
    """Reports the progress of an action to the context of a worker's task."""

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
    action: Callable[..., object], task: Task, reserved: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The arguments of an action in the data of a task.

    Args:
        action: the action.
        task: the task.
        reserved: the arguments that only the worker may set.
    """
    if not isinstance(task.data, dict):
        raise InvalidInput(
            f"data is {show(task.data)}; a task of type {task.type!r} needs a dict of arguments"
        )
    arguments = dict(cast("dict[str, Any]", task.data))
    for name in reserved:
        if name in arguments:
            raise InvalidInput(
                f"data[{name!r}] is not allowed: only the worker sets it; see action_handlers()"
            )
    try:
        inspect.signature(action).bind(None, **arguments)
    except TypeError as fault:
        raise InvalidInput(
            f"the data of a task of type {task.type!r} has wrong arguments: {fault}"
        ) from None
    return arguments


def _within(folder: Path, destination: object) -> Path:
    inside = folder / destination if isinstance(destination, str) else folder
    try:
        resolved = inside.resolve()
    except (OSError, RuntimeError, ValueError) as fault:
        raise InvalidInput(f"destination is {show(destination)}: {fault}") from None
    if resolved == folder.resolve() or not resolved.is_relative_to(folder.resolve()):
        raise InvalidInput(
            f"destination is {show(destination)}; it must be the path of a file inside the "
            "worker's download folder"
        )
    return inside


handlers = action_handlers()
"""The handlers for the command line: downloads go to ./downloads, searches to Wikipedia."""
