"""Which settled tasks a board may forget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ....messages import IllegalTransition, TaskId, UnknownTask
from ..model.records import TaskRecord
from .task_checks import named_tasks


def find_forgettable(
    task_ids: Sequence[TaskId], tasks: Mapping[TaskId, TaskRecord]
) -> list[TaskRecord]:
    """The records of tasks that are to be forgotten together.

    Args:
        task_ids: which; one that is named twice is forgotten once.
        tasks: all that the board has.

    Raises:
        UnknownTask: there is no such task.
        IllegalTransition: a task is not settled, its worker has not confirmed that it stopped, or
            a task that is kept depends on it or is its child.
    """
    records: list[TaskRecord] = []
    named_inside: Counter[TaskId] = Counter()
    for task_id in dict.fromkeys(task_ids):
        record = tasks.get(task_id)
        if record is None:
            raise UnknownTask(f"no task has the id {task_id!r}, so it can't be forgotten")
        records.append(record)
        named_inside.update(named_tasks(record.task))
    for record in records:
        _check(record, record.named_by - named_inside[record.task_id])
    return records


def _check(record: TaskRecord, named_by: int) -> None:
    told = f"task {record.task_id!r} is {record.status.value}"
    if not record.status.is_final:
        raise IllegalTransition(f"{told}, so it can't be forgotten yet; wait until it is settled")
    if named_by:
        raise IllegalTransition(
            f"{told}, but {named_by} other tasks depend on it or are its children, so it can't be "
            "forgotten; forget them first, or together with it"
        )
    for attempt in record.attempts:
        # Whoever confirms must find it; and until then its slot is not free.
        key, worker = (record.task_id, attempt.number), attempt.worker
        if key in worker.stopping or key in worker.withdrawn:
            raise IllegalTransition(
                f"{told}, but {attempt.worker.name} has not confirmed yet that it stopped attempt "
                f"{attempt.number}, so it can't be forgotten yet"
            )
