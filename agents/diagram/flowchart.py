"""Draws the tasks of a run as a flowchart: which waits for which, and what became of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...messages import InvalidInput, TaskId
from ..kernel.model.occurrences import OccurrenceKind
from ..kernel.trace import TaskFacts, Trace
from .escaping import escape
from .run_messages import name_of

_INDENT = "    "
_MAX_TEXT_CHARACTERS = 60
_STATUS = {
    OccurrenceKind.TASK_ADDED: "pending",
    OccurrenceKind.TASK_ASSIGNED: "in_progress",
    OccurrenceKind.TASK_REQUEUED: "pending",
    OccurrenceKind.TASK_COMPLETED: "completed",
    OccurrenceKind.TASK_FAILED: "failed",
    OccurrenceKind.TASK_CANCELLED: "cancelled",
}
_STYLES = {
    "completed": "fill:#d9ead3,stroke:#6aa84f,color:#000",
    "failed": "fill:#f4cccc,stroke:#cc0000,color:#000",
    "cancelled": "fill:#eeeeee,stroke:#999999,color:#000,stroke-dasharray:4",
    "in_progress": "fill:#fff2cc,stroke:#bf9000,color:#000",
    "pending": "fill:#ffffff,stroke:#666666,color:#000",
}


def write_flowchart(trace: Trace, max_tasks: int) -> str:
    """Write a `flowchart` of the tasks of a run.

    An arrow leads from a task to each that waits for it, a dotted one to each that belongs to it.

    Args:
        trace: the run.
        max_tasks: how many tasks are drawn; in place of the others stands one box that says how
            many there are.

    Raises:
        InvalidInput: it is to draw fewer than 1.
    """
    if max_tasks < 1:
        raise InvalidInput(f"max_tasks is {max_tasks}; it must be 1 or more")
    status = {
        each.task_id: _STATUS[each.what] for each in trace.occurrences if each.what in _STATUS
    }
    tasks = list(trace.tasks.values())
    shown, hidden = tasks[:max_tasks], tasks[max_tasks:]
    ids: dict[TaskId, str] = {task.task_id: f"t{place}" for place, task in enumerate(shown)}
    lines = ["flowchart LR"]
    lines += [f"{_INDENT}{ids[task.task_id]}[{_text(task)}]" for task in shown]
    if hidden:
        ids.update((task.task_id, "more") for task in hidden)
        lines.append(f'{_INDENT}more["… {len(hidden):,} more tasks"]')
    # Several arrows between two boxes would say no more than one.
    lines += [_INDENT + arrow for arrow in dict.fromkeys(_arrows(tasks, ids))]
    for name, style in _STYLES.items():
        of_it = [ids[each.task_id] for each in shown if status.get(each.task_id) == name]
        if of_it:
            lines.append(f"{_INDENT}classDef {name} {style}")
            lines.append(f"{_INDENT}class {','.join(of_it)} {name}")
    return "\n".join(lines) + "\n"


def _text(task: TaskFacts) -> str:
    description = " ".join(task.description.split())
    if len(description) > _MAX_TEXT_CHARACTERS:
        description = description[: _MAX_TEXT_CHARACTERS - 1] + "…"
    return f'"{escape(name_of(task.task_id))}<br/>{escape(description)}"'


def _arrows(tasks: Sequence[TaskFacts], ids: dict[TaskId, str]) -> Iterator[str]:
    for task in tasks:
        for needed in task.depends_on:
            if needed in ids and ids[needed] != ids[task.task_id]:
                yield f"{ids[needed]} --> {ids[task.task_id]}"
        if task.parent_id in ids and ids[task.parent_id] != ids[task.task_id]:
            yield f"{ids[task.parent_id]} -.-> {ids[task.task_id]}"
