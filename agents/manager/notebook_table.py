"""What a notebook shows of a manager: its tasks by status, and its workers."""

from __future__ import annotations

from ...messages import TaskStatus
from ...messages.html_table import html_table
from ..kernel.board.state import BoardState


def manager_table(name: str, board: BoardState) -> str:
    """The status of a manager as an HTML table.

    Args:
        name: the manager's name.
        board: its board.
    """
    counts = ", ".join(
        f"{board.counts[status]:,} {status.label.lower()}"
        for status in TaskStatus
        if board.counts[status]
    )
    workers = list(board.workers.values())
    return html_table(
        f"manager {name!r}: {counts or 'no tasks'}",
        ("worker", "connected", "busy slots", "completed", "succeeded"),
        (
            (
                worker.name,
                "yes" if worker.alive else "no",
                f"{len(worker.running)} of {worker.slots}",
                f"{worker.stats.completed_tasks:,}",
                f"{worker.stats.successful_tasks:,}",
            )
            for worker in workers
        ),
        len(workers),
    )
