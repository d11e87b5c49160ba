"""Prints the figures as a table, for terminals and log files."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

from rich import box
from rich.console import Console
from rich.table import Table

from .figures import BYTES_A_MB, BenchConditions, Figures
from .sizes import show_size

DEFAULT_WIDTH = 100
"""The default width of the text, in columns."""

_UNKNOWN = "unknown"


def render_figures(figures: Figures, width: int = DEFAULT_WIDTH) -> str:
    """The figures as plain text."""
    page = StringIO()
    console = Console(
        file=page, width=width, color_system=None, force_terminal=False, legacy_windows=False
    )
    print_figures(figures, console)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines())


def print_figures(figures: Figures, console: Console) -> None:
    """Print figures to a console, in colour if it supports that."""
    for line in _opening(figures.conditions):
        console.print(line, highlight=False, markup=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("What", no_wrap=True)
    table.add_column("Figure", justify="right", no_wrap=True, style="bold")
    table.add_column("How it was taken")
    for row in _rows(figures):
        table.add_row(*row)
    console.print()
    console.print(table)


def _opening(conditions: BenchConditions) -> Iterator[str]:
    workers = (
        "1 worker process" if conditions.workers == 1 else f"{conditions.workers} worker processes"
    )
    slots = "1 slot" if conditions.slots == 1 else f"{conditions.slots:,} slots"
    sealed = "frames sealed" if conditions.sealed else "frames not sealed"
    store = f"kept in {conditions.store}" if conditions.store else "kept nowhere"
    yield f"{workers} of {slots}, {sealed}, {store}"
    yield (
        f"Muster {conditions.muster}, Ceylon {conditions.ceylon}, Python {conditions.python}, "
        f"{conditions.platform}, {conditions.cpu_count} processors"
    )


def _rows(figures: Figures) -> Iterator[tuple[str, str, str]]:
    if figures.cold_start_s is not None:
        how = "from starting Python, which starts manager and workers, to the first result"
        yield "Cold start", f"{figures.cold_start_s:.2f} s", how
    if (many := figures.throughput) is not None:
        did = f"{many.tasks:,} that do nothing, in {many.took_s:.2f} s"
        how = f"{did}, from submitting to the last result"
        yield "Many tasks", f"{many.tasks_per_s:,.0f} tasks/s", how
    if (one := figures.latency) is not None:
        how = f"{one.samples:,} of them, one after the other, from submitting to the result"
        yield "One task, p50", f"{one.p50_ms:.2f} ms", how
        yield "One task, p99", f"{one.p99_ms:.2f} ms", f"the slowest took {one.slowest_ms:.2f} ms"
    if (payload := figures.payload) is not None:
        size, took = show_size(payload.size_bytes), f"{payload.took_s:.2f} s"
        how = f"{size} of noise echoed {payload.count} times in {took}"
        yield "Payload", f"{payload.mb_per_s:,.3g} MB/s", how
    if (memory := figures.memory) is not None:
        how = "the most that was resident"
        yield "Memory, manager", _show_memory(memory.manager_peak_bytes), how
        yield "Memory, worker", _show_memory(memory.worker_peak_bytes), f"{how}, the largest worker"


def _show_memory(size_bytes: int | None) -> str:
    return _UNKNOWN if size_bytes is None else f"{size_bytes / BYTES_A_MB:,.0f} MB"
