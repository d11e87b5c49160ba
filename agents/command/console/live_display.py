"""Shows progress on a terminal: a bar with the workers below it."""

from __future__ import annotations

import sys

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ...runtime.terminal_text import one_line
from .plain_lines import MAX_DETAIL_CHARACTERS, name_of, summary
from .tally import RunTally, WorkerTally

MAX_WORKERS_SHOWN = 20
BAR_COLUMNS = 40


class LiveDisplay:
    """Redraws the state of a run in one place on a terminal, and removes it at the end.

    Args:
        console: the terminal.
    """

    def __init__(self, console: Console) -> None:
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            # If stderr is a file, its lines must not go to the terminal.
            redirect_stderr=sys.stderr.isatty(),
        )

    def draw(self, tally: RunTally, at: float) -> None:
        """Draw the current state of the run."""
        tally.pending.clear()
        if not self._live.is_started:
            self._live.start()
        self._live.update(render(tally, at), refresh=True)

    def close(self, tally: RunTally, at: float) -> None:
        """Remove the display."""
        del tally, at
        self._live.stop()


def render(tally: RunTally, at: float) -> Group:
    """Render the display.

    Args:
        tally: the state of the run.
        at: the current time in seconds, on the clock of the run's events.
    """
    head = Table.grid(padding=(0, 2))
    colour = "red" if tally.failed else "green"
    bar = ProgressBar(
        total=max(tally.tasks, 1),
        completed=tally.settled,
        width=BAR_COLUMNS,
        complete_style=colour,
        finished_style=colour,
    )
    since_s = max(at - tally.began_at, 0.0)
    head.add_row(bar, Text(summary(tally, at)), Text(f"{since_s:.1f} s", style="dim"))
    return Group(head, _waiting(tally), _workers(tally))


def _waiting(tally: RunTally) -> Text:
    if tally.is_paused:
        return Text("Paused: no tasks are assigned until the run is resumed", style="yellow")
    if tally.assigning_since is not None:
        return Text(one_line(tally.limits, MAX_DETAIL_CHARACTERS), style="dim")
    connected = sum(worker.is_connected for worker in tally.workers.values())
    return Text(f"waiting for workers; {connected} connected", style="dim")


def _workers(tally: RunTally) -> Group:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("worker", no_wrap=True, overflow="ellipsis", max_width=30)
    table.add_column("", no_wrap=True, overflow="ellipsis", max_width=30)
    table.add_column("running", justify="right", no_wrap=True)
    table.add_column("done", justify="right", no_wrap=True)
    table.add_column("failed", justify="right", no_wrap=True)
    table.add_column("task", no_wrap=True, overflow="ellipsis")
    workers = sorted(tally.workers.values(), key=_is_gone)
    for worker in workers[:MAX_WORKERS_SHOWN]:
        current = next(reversed(worker.running), None)
        table.add_row(
            Text(
                one_line(worker.name, MAX_DETAIL_CHARACTERS),
                style="" if worker.is_connected else "red",
            ),
            Text(
                _state(worker),
                style="dim",
            ),
            Text(f"{len(worker.running):,}{worker.slots and '/' + worker.slots}"),
            Text(f"{worker.succeeded:,}"),
            Text(f"{worker.failed:,}", style="red" if worker.failed else "dim"),
            Text("" if current is None else name_of(current)),
        )
    if not workers:
        return Group()
    more = len(workers) - MAX_WORKERS_SHOWN
    return Group(table, Text(f"… and {more:,} more workers")) if more > 0 else Group(table)


def _state(worker: WorkerTally) -> str:
    if not worker.is_connected:
        return "lost"
    profile = one_line(worker.profile, MAX_DETAIL_CHARACTERS)
    return f"Draining; {profile}" if worker.is_draining else profile


def _is_gone(worker: WorkerTally) -> bool:
    return not worker.is_connected
