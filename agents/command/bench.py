"""`muster bench`: measures a manager and worker processes on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.status import Status

from ..bench.cold_start import measure_cold_start
from ..bench.figures import BenchConditions, Figures
from ..bench.figures_text import print_figures, render_figures
from ..bench.measuring import measure_latency, measure_memory, measure_payload, measure_throughput
from ..bench.workers import BenchPlan, BenchWorkers
from ..runtime.garbage import collect_garbage_less_often
from ..store.places import StorePlace, name_of_place
from ..store.protocol import Store
from .console.exit import EXIT_FAILED, EXIT_OK, print_message
from .console.interrupts import Interrupts, block_sigint_in_children
from .output import write_json, write_lines


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """What to measure.

    Args:
        plan: the manager and the workers.
        tasks: the number of no-op tasks.
        payload_bytes: the size of each echoed payload.
    """

    plan: BenchPlan
    tasks: int
    payload_bytes: int


async def bench(settings: BenchSettings, *, as_json: bool) -> int:
    """Measure, and print the figures; after Ctrl-C or an error, print those measured so far.

    Args:
        settings: what to measure.
        as_json: print the figures as JSON.

    Returns:
        The exit code.

    Raises:
        MusterError: something could not be measured.
    """
    collect_garbage_less_often()
    measuring = _Measuring(settings)
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
        write_lines(render_figures(figures))


class _Measuring:
    """Takes the measurements one after another, and keeps their figures."""

    def __init__(self, settings: BenchSettings) -> None:
        self._settings = settings
        self.figures = Figures(conditions=_conditions(settings.plan))

    async def run(self) -> None:
        """Take all measurements.

        Raises:
            MusterError: one failed.
        """
        console = Console(stderr=True)
        status = console.status("")
        with status if console.is_terminal else contextlib.nullcontext():
            await self._take_all(status)

    async def _take_all(self, status: Status) -> None:
        settings = self._settings
        # First, because it reports invalid settings.
        bench_workers = BenchWorkers(settings.plan)
        try:
            status.update("cold start")
            cold_start_s = await measure_cold_start(
                workers=settings.plan.workers,
                slots=settings.plan.slots,
                insecure=settings.plan.insecure,
            )
            self._take(cold_start_s=cold_start_s)
            status.update("starting the workers")
            with block_sigint_in_children():
                await bench_workers.start()
            await bench_workers.wait_until_joined()
            status.update(f"{settings.tasks:,} tasks")
            self._take(throughput=await measure_throughput(bench_workers, settings.tasks))
            status.update("one task at a time")
            self._take(latency=await measure_latency(bench_workers))
            # Before the payloads, because it is the memory for small tasks.
            self._take(memory=await measure_memory(bench_workers))
            status.update("payloads")
            self._take(payload=await measure_payload(bench_workers, settings.payload_bytes))
        finally:
            status.update("stopping the workers")
            await bench_workers.end()

    def _take(self, **figures: object) -> None:
        self.figures = self.figures.model_copy(update=figures)


def _conditions(plan: BenchPlan) -> BenchConditions:
    return BenchConditions(
        muster=version("ceylon-muster"),
        ceylon=version("ceylon"),
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        cpu_count=_count_cpus(),
        began_at=datetime.now(tz=timezone.utc).isoformat(timespec="seconds"),
        workers=plan.workers,
        slots=plan.slots,
        sealed=not plan.insecure,
        store=None if plan.store is None else _tell_store(plan.store),
    )


def _tell_store(store: StorePlace | Store) -> str:
    return name_of_place(store) if isinstance(store, str | Path) else str(store)


def _count_cpus() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
