"""Groups the tracebacks of a run by the kind of failure, and shortens them for the text report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ...messages import TaskId
from ..kernel.model.error_kind import error_kind
from .model import TaskReport

_PLACE = "  File "
_FRAMES_SHOWN = 2


class FailureGroup(NamedTuple):
    """Tasks that failed in the same way: with the same type of exception, at the same place.

    Args:
        kind: the type of the exception.
        traceback: the traceback of the first of them.
        task_ids: the tasks.
    """

    kind: str
    traceback: str
    task_ids: list[TaskId]


def group_failures(tasks: Iterable[TaskReport]) -> list[FailureGroup]:
    """The groups of the tasks that have a traceback, the largest first."""
    groups: dict[tuple[str, str], FailureGroup] = {}
    for task in tasks:
        traceback = task.error_traceback
        if traceback is None:
            continue
        kind = error_kind(task.error_message or "")
        places = [line for line in traceback.splitlines() if line.startswith(_PLACE)]
        group = groups.setdefault(
            (kind, places[-1] if places else ""), FailureGroup(kind, traceback, [])
        )
        group.task_ids.append(task.id)
    return sorted(groups.values(), key=lambda group: -len(group.task_ids))


def innermost_lines(traceback: str) -> list[str]:
    """The innermost frames of a traceback and the lines after them."""
    lines = traceback.splitlines()
    places = [index for index, line in enumerate(lines) if line.startswith(_PLACE)]
    return lines[places[-_FRAMES_SHOWN:][0] :] if places else lines
