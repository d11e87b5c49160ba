"""What a run leaves behind, and what must hold of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple


class Execution(NamedTuple):
    """The beginning of a task's work, as the work itself noted it."""

    task_id: int
    attempt: int
    pid: int


def read_executions(file: Path) -> list[Execution]:
    """All executions so far, in order; none if nothing was begun yet."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [Execution(*map(int, line.split())) for line in text.splitlines()]


def check_each_recorded_once(
    report: dict[str, Any], executions: Iterable[Execution], tasks: int
) -> None:
    """Every task is completed, once, with the result of an execution that took place."""
    counts = dict.fromkeys(report["counts"], 0) | {"completed": tasks}
    assert report["counts"] == counts
    assert [task["id"] for task in report["tasks"]] == list(range(1, tasks + 1))
    took_place = set(executions)
    for task in report["tasks"]:
        recorded = Execution(*map(int, task["output"].split()))
        assert recorded.task_id == task["id"]
        assert recorded in took_place
    # A result that was recorded twice would be in the accounts of workers twice.
    assert sum(worker["succeeded"] for worker in report["workers"].values()) == tasks


def times_done(executions: Iterable[Execution]) -> Counter[int]:
    """How often the work of each task was begun."""
    return Counter(execution.task_id for execution in executions)
