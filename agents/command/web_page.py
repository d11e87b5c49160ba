"""`--web`: serves the live page of a run that the command line starts."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from ...messages import ExtraMissing
from ..runtime.ports import LOOPBACK
from .console.interrupts import Interrupts
from .output import write_to

if TYPE_CHECKING:
    from ..live import LivePage
    from ..live.application import MetricsSource
    from ..manager.task_manager import TaskManager

# The live page needs an extra, which may not be installed.
# ruff: noqa: PLC0415

WEB_OPTION = "--web"
DEFAULT_WEB_PORT = "8080"
TERMINAL_LINGER_S = 60.0


@dataclass(frozen=True)
class WebPageOptions:
    """The options of the live page.

    Args:
        port: the TCP port; 0 takes a free one.
        host: the IP address to listen on.
        names: additional host names under which the page is reached.
        linger_s: how long the page stays available after the run, in seconds; None is 60 at a
            terminal, else 0.
    """

    port: int
    host: str = LOOPBACK
    names: tuple[str, ...] = ()
    linger_s: float | None = None


def web_page_options(
    port: int | None, host: str, names: Sequence[str] | None, linger_s: float | None
) -> WebPageOptions | None:
    """Combine the command line options of the live page; None without `--web`.

    Raises:
        ExtraMissing: the extra for the page is not installed.
    """
    if port is None:
        return None
    from .. import live

    del live
    return WebPageOptions(port, host, tuple(names or ()), linger_s)


def add_default_web_port(arguments: Sequence[str]) -> list[str]:
    """Add the default port after each `--web` without a value."""
    filled: list[str] = []
    for index, argument in enumerate(arguments):
        if argument == "--":
            return [*filled, *arguments[index:]]
        filled.append(argument)
        following = arguments[index + 1] if index + 1 < len(arguments) else ""
        if argument == WEB_OPTION and not following.isdecimal():
            filled.append(DEFAULT_WEB_PORT)
    return filled


class WebPage:
    """A context manager that serves the live page of a manager, if `--web` is given.

    Args:
        options: the options of the page, or None.
        stream: the stream to which the page's URL is written.
    """

    def __init__(self, options: WebPageOptions | None, stream: TextIO) -> None:
        self._options = options
        self._stream = stream
        self._page: LivePage | None = None
        self._starting: asyncio.Task[LivePage] | None = None

    def follow(self, manager: TaskManager) -> None:
        """Show the run of this manager, in the running loop; only the first manager counts.

        Raises:
            PortInUse: another program uses the port.
            InvalidInput: the page can't listen on the address.
        """
        if self._options is None or self._page is not None:
            return
        from ..live import LivePage

        options = self._options
        metrics = _find_metrics()
        if metrics is not None:
            # Metrics count from the first call.
            metrics(manager)
        self._page = LivePage(
            manager, options.host, options.port, names=options.names, metrics=metrics
        )
        self._starting = asyncio.create_task(self._page.__aenter__())
        write_to(self._stream, f"live page: {self._page.url}\n")

    async def __aenter__(self) -> WebPage:
        """Return the page; `follow` starts it."""
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Stop serving the page."""
        if self._page is not None and self._starting is not None:
            await self._starting
            await self._page.__aexit__(None, None, None)

    async def linger(self) -> None:
        """Keep the page available for a while after the run, or until Ctrl-C."""
        if self._options is None or self._page is None:
            return
        linger_s = self._options.linger_s
        if linger_s is None:
            linger_s = TERMINAL_LINGER_S if sys.stdout.isatty() else 0.0
        if not linger_s:
            return
        write_to(
            self._stream,
            f"live page: {self._page.url} stays available for {linger_s:g} s; Ctrl-C ends it\n",
        )
        interrupted = asyncio.Event()

        async def end() -> None:
            interrupted.set()

        async with Interrupts(end):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(interrupted.wait(), linger_s)


def _find_metrics() -> MetricsSource | None:
    """What renders `/metrics`; None if its extra is not installed."""
    try:
        from ..metrics.exposition import render_metrics
    except ExtraMissing:
        return None
    return render_metrics
