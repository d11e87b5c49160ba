"""`muster bench`: what a manager and worker processes give on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version

from rich.console import Console
from rich.status import Status

from ..bench.cold_start import measure_cold_start
from ..bench.crew import BenchPlan, BenchWorkers
from ..bench.figures import BenchConditions, Figures
from ..bench.figures_text import print_figures, render_figures
from ..bench.measuring import measure_latency, measure_memory, measure_payload, measure_throughput
from ..runtime.garbage import collect_garbage_less_often
from .console.exit import EXIT_FAILED, EXIT_OK, print_message
from .console.interrupts import Interrupts, block_sigint_in_children
from .output import write_json


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """What to measure.

    Args:
        crew: with which manager and workers.
        tasks: how many tasks for the throughput.
        payload_bytes: how large a payload is echoed.
    """

    crew: BenchPlan
    tasks: int
    payload_bytes: int


async def bench(order: BenchSettings, *, as_json: bool) -> int:
    """Measure, and print the figures; after Ctrl-C or an error those that there are.

    Args:
        order: what to measure.
        as_json: print the figures as JSON.

    Returns:
        The exit code.

    Raises:
        MusterError: something could not be measured.
    """
    collect_garbage_less_often()
    measuring = _Measuring(order)
    running = asyncio.ensure_future(measuring.run())

    async def stop() -> None:
        running.cancel()

    async with Interrupts(stop):
        await asyncio.wait([running])
    if measuring.figures.has_any:
        show_figures(measuring.figures, as_json=as_json)
    if running.cancelled():
        print_message("stopped before everything was measured")
        return EXIT_FAILED
    running.result()
    return EXIT_OK


def show_figures(figures: Figures, *, as_json: bool) -> None:
    """Print figures on stdout, as JSON or as a table."""
    if as_json:
        write_json(figures)
    elif sys.stdout.isatty():
        print_figures(figures, Console())
    else:
        sys.stdout.write(render_figures(figures) + "\n")
    sys.stdout.flush()


class _Measuring:
    """Takes one figure after the other, and keeps those that there are."""

    def __init__(self, order: BenchSettings) -> None:
        self._order = order
        self.figures = Figures(conditions=_conditions(order.crew))

    async def run(self) -> None:
        """Take all the figures.

        Raises:
            MusterError: one could not be taken.
        """
        console = Console(stderr=True)
        status = console.status("")
        with status if console.is_terminal else contextlib.nullcontext():
            await self._take_all(status)

    async def _take_all(self, status: Status) -> None:
        order = self._order
        # First, so that what can't be done is told before anything else is.
        crew = BenchWorkers(order.crew)
        try:
            status.update("a cold start")
            cold_start_s = await measure_cold_start(
                workers=order.crew.workers, slots=order.crew.slots, insecure=order.crew.insecure
            )
            self._take(cold_start_s=cold_start_s)
            status.update("starting the workers")
            with block_sigint_in_children():
                await crew.start()
            await crew.gather()
            status.update(f"{order.tasks:,} tasks")
            self._take(throughput=await measure_throughput(crew, order.tasks))
            status.update("one task at a time")
            self._take(latency=await measure_latency(crew))
            # Before the payloads: it is what small tasks take.
            self._take(memory=await measure_memory(crew))
            status.update("payloads")
            self._take(payload=await measure_payload(crew, order.payload_bytes))
        finally:
            status.update("ending the workers")
            await crew.end()

    def _take(self, **figures: object) -> None:
        self.figures = self.figures.model_copy(update=figures)


def _conditions(order: BenchPlan) -> BenchConditions:
    return BenchConditions(
        muster=version("ceylon-muster"),
        ceylon=version("ceylon"),
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        cpu_count=_count_cpus(),
        began_at=datetime.now(tz=timezone.utc).isoformat(timespec="seconds"),
        workers=order.workers,
        slots=order.slots,
        sealed=not order.insecure,
        store=None if order.store is None else str(order.store),
    )


def _count_cpus() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
