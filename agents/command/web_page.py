"""`--web`: the live page of a run that the command line starts, and how long it stays up."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from ...messages import ExtraMissing
from ..runtime.ports import LOOPBACK
from .console.interrupts import Interrupts

if TYPE_CHECKING:
    from ..live import LivePage
    from ..live.application import MetricsSource
    from ..manager.task_manager import TaskManager

# What it needs comes with an extra that not everybody has.
# ruff: noqa: PLC0415

WEB_OPTION = "--web"
DEFAULT_WEB_PORT = "8080"
TERMINAL_LINGER_S = 60.0


@dataclass(frozen=True)
class WebPageOptions:
    """What was asked for.

    Args:
        port: the TCP port; 0 takes a free one.
        host: the IP address to listen on.
        names: host names by which the page is called besides.
        linger_s: how long it stays up after the run, in seconds; None as suits the terminal.
    """

    port: int
    host: str = LOOPBACK
    names: tuple[str, ...] = ()
    linger_s: float | None = None


def read_web_options(
    port: int | None, host: str, names: Sequence[str] | None, linger_s: float | None
) -> WebPageOptions | None:
    """What the options ask for; None if there is to be no page.

    Raises:
        ExtraMissing: what the page needs is not installed.
    """
    if port is None:
        return None
    from .. import live

    del live
    return WebPageOptions(port, host, tuple(names or ()), linger_s)


def add_default_web_port(arguments: Sequence[str]) -> list[str]:
    """Put the usual port behind a `--web` that stands alone."""
    filled: list[str] = []
    for place, argument in enumerate(arguments):
        if argument == "--":
            return [*filled, *arguments[place:]]
        filled.append(argument)
        following = arguments[place + 1] if place + 1 < len(arguments) else ""
        if argument == WEB_OPTION and not following.isdecimal():
            filled.append(DEFAULT_WEB_PORT)
    return filled


class WebPage:
    """While it is entered, the run of a manager is seen in a browser, if that was asked for.

    Args:
        order: what was asked for, or None.
        told: where its address is told.
    """

    def __init__(self, order: WebPageOptions | None, told: TextIO) -> None:
        self._order = order
        self._told = told
        self._page: LivePage | None = None
        self._starting: asyncio.Task[LivePage] | None = None

    def follow(self, manager: TaskManager) -> None:
        """Show the run of this manager, in the running loop; of several, the first's.

        Raises:
            PortInUse: the port belongs to somebody else.
            InvalidInput: it can't listen there.
        """
        if self._order is None or self._page is not None:
            return
        from ..live import LivePage

        order = self._order
        metrics = _find_metrics()
        if metrics is not None:
            # They count from the first call on.
            metrics(manager)
        self._page = LivePage(manager, order.host, order.port, names=order.names, metrics=metrics)
        self._starting = asyncio.create_task(self._page.__aenter__())
        self._told.write(f"live page: {self._page.url}\n")
        self._told.flush()

    async def __aenter__(self) -> WebPage:
        """Be ready to show a run."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the page away."""
        if self._page is not None and self._starting is not None:
            await self._starting
            await self._page.__aexit__(None, None, None)

    async def linger(self) -> None:
        """Leave the page up for a while after the run, until Ctrl-C."""
        if self._order is None or self._page is None:
            return
        linger_s = self._order.linger_s
        if linger_s is None:
            linger_s = TERMINAL_LINGER_S if sys.stdout.isatty() else 0.0
        if not linger_s:
            return
        self._told.write(f"live page: {self._page.url} for {linger_s:g} s more; Ctrl-C ends it\n")
        self._told.flush()
        over = asyncio.Event()

        async def end() -> None:
            over.set()

        async with Interrupts(end):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(over.wait(), linger_s)


def _find_metrics() -> MetricsSource | None:
    """What is at `/metrics`: nothing where its package is not installed."""
    try:
        from ..metrics import render_metrics
    except ExtraMissing:
        return None
    return render_metrics
