"""The sequence diagram that a report shows: of a run that is followed, or of one that was kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..diagram.sequence_of_run import tell_as_sequence
from ..diagram.sequence_writer import write_sequence
from ..kernel.trace import Trace, TraceLog, trace_of
from ..manager.task_manager import TaskManager
from ..report.file import shows_diagram
from ..trace.follow import follow
from .stored_run import StoredRun


def follow_for_report(manager: TaskManager, report_file: Path | None) -> Callable[[], str | None]:
    """Follow a run, if its report is to show it.

    Args:
        manager: whose run; it has not begun.
        report_file: where the report goes, or None.

    Returns:
        What draws the run afterwards; it draws nothing if the report shows no diagram.
    """
    if report_file is None or not shows_diagram(report_file):
        return lambda: None
    log = TraceLog()
    follow(manager, log)
    return lambda: _draw(log.trace())


def draw_kept_run(run: StoredRun, report_file: Path) -> str | None:
    """Draw a run as far as its store knows it, if its report shows that."""
    if not shows_diagram(report_file):
        return None
    return _draw(trace_of(run.board, run.store.stem))


def _draw(trace: Trace) -> str:
    return write_sequence(tell_as_sequence(trace))
