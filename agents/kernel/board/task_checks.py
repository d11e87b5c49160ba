"""Checks of tasks: whether they can be added or forgotten, and whether two are the same."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence

from ....messages import (
    DependencyCycle,
    DifferentTask,
    DuplicateTask,
    IllegalTransition,
    InvalidTask,
    Task,
    TaskId,
    UnknownDependency,
    UnknownTask,
)
from ....messages.codec import encode_task
from ..model.records import TaskRecord

_MAX_NAMED = 10
_SHOWN_CHARACTERS = 200


def find_new(tasks: Sequence[Task], known: Mapping[TaskId, TaskRecord]) -> Sequence[Task]:
    """Check the ids, dependencies and parents of tasks that are to be added.

    Returns:
        Those that are new. An id is an idempotency key: a task that is given again with the same
        content is the task that there is.

    Raises:
        InvalidTask: an id is neither an integer nor a string.
        DuplicateTask: a different task has the same id; the message names the fields that differ.
        UnknownDependency: a dependency or parent is neither known nor among the new tasks.
        DependencyCycle: some of them wait for one another, or are parents of one another.
    """
    batch: dict[TaskId, Task] = {}
    for task in tasks:
        task_id = task.id
        # True equals 1; and a model built without validation may contain any value.
        if type(task_id) not in (int, str):
            raise InvalidTask(f"a task's id is {task_id!r}; it must be an integer or a string")
        if task_id in known:
            _check_same_content(known[task_id].added, task)
            continue
        if task_id in batch:
            _check_same_content(batch[task_id], task)
            continue
        if task.review:
            _check_review(task)
        batch[task_id] = task
    new = tasks if len(batch) == len(tasks) else tuple(batch.values())
    for task in new:
        for needed in task.depends_on:
            if needed not in batch and needed not in known:
                raise UnknownDependency(
                    f"task {task.id!r} depends on {needed!r}, which was not added; "
                    "add it before this task or together with it"
                )
        parent = task.parent_id
        if parent is not None and parent not in batch and parent not in known:
            raise UnknownDependency(
                f"task {task.id!r} has the parent {parent!r}, which was not added; "
                "add it before this task or together with it"
            )
    _check_circles(batch)
    _check_parents(batch)
    return new


def _check_review(task: Task) -> None:
    if not task.type:
        raise InvalidTask(
            f"task {task.id!r} has review=True and no type, but reviewers belong to a type; give "
            "it the type of a reviewer"
        )
    if task.votes > 1:
        raise InvalidTask(
            f"task {task.id!r} has review=True and votes={task.votes}; choose one of the two"
        )


def named_tasks(task: Task) -> tuple[TaskId, ...]:
    """The tasks that a task names, once each: those it depends on, then its parent."""
    parent = () if task.parent_id is None else (task.parent_id,)
    return tuple(dict.fromkeys((*task.depends_on, *parent)))


def find_forgettable(
    task_ids: Sequence[TaskId], tasks: Mapping[TaskId, TaskRecord]
) -> list[TaskRecord]:
    """The records of tasks that are to be forgotten together.

    Args:
        task_ids: the ids of the tasks to forget; duplicates are ignored.
        tasks: all tasks of the board.

    Raises:
        UnknownTask: a task does not exist.
        IllegalTransition: a task is not settled, its worker has not confirmed that it stopped, or
            another task that is not forgotten depends on it or is its child.
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
        _check_forgettable(record, record.named_by - named_inside[record.task_id])
    return records


def check_same(known: Task, again: Task) -> None:
    """Check that a task equals the stored task with the same id.

    Raises:
        DifferentTask: they differ; the message shows the differing fields of both.
    """
    if encode_task(known) != encode_task(again):
        raise DifferentTask(
            f"the store has a different task with the id {again.id!r}: "
            f"{_differences(known, again, 'in the store')}; use another id, "
            "restore the former values, or start with a new store"
        )


def _check_same_content(known: Task, again: Task) -> None:
    if encode_task(known) != encode_task(again):
        raise DuplicateTask(
            f"a different task with the id {again.id!r} already exists: "
            f"{_differences(known, again, 'there')}; use another id, or submit the task unchanged"
        )


def _differences(known: Task, again: Task, where: str) -> str:
    ours, theirs = _fields(known), _fields(again)
    differing = [
        f"{name} is {_show(ours.get(name))} {where} and {_show(theirs.get(name))} now"
        for name in {**ours, **theirs}
        if not _is_same(ours.get(name), theirs.get(name))
    ]
    return "; ".join(differing) or "its data differs"


def _is_same(ours: object, theirs: object) -> bool:
    try:
        return bool(ours == theirs)
    # A comparison of the user's values may raise anything.
    except Exception:  # noqa: BLE001
        return False


def _check_circles(batch: Mapping[TaskId, Task]) -> None:
    waiting_for = {
        task_id: {needed for needed in task.depends_on if needed in batch}
        for task_id, task in batch.items()
        if task.depends_on
    }
    waiting_for = {task_id: needed for task_id, needed in waiting_for.items() if needed}
    if not waiting_for:
        return
    dependents: dict[TaskId, list[TaskId]] = {}
    for task_id, needed in waiting_for.items():
        for each in needed:
            dependents.setdefault(each, []).append(task_id)
    startable = deque(task_id for task_id in batch if task_id not in waiting_for)
    while startable:
        done = startable.popleft()
        for task_id in dependents.get(done, ()):
            waiting_for[task_id].discard(done)
            if not waiting_for[task_id]:
                del waiting_for[task_id]
                startable.append(task_id)
    if waiting_for:
        raise DependencyCycle(
            f"the dependencies form a cycle, so none of these tasks can start: "
            f"{_show_circle(_find_circle(batch, waiting_for))}; remove one of the dependencies"
        )


def _check_parents(batch: Mapping[TaskId, Task]) -> None:
    # A parent that is known has known parents, so a cycle is always among the new tasks.
    checked: set[TaskId] = set()
    for task_id, task in batch.items():
        if task.parent_id is None:
            continue
        # In their order; each is looked up in it, too.
        path: dict[TaskId, None] = {}
        each: TaskId | None = task_id
        while each is not None and each in batch and each not in checked:
            if each in path:
                circle = [*path][[*path].index(each) :]
                raise DependencyCycle(
                    "the parents form a cycle, so these tasks would be their own parents: "
                    f"{_show_circle([*circle, each])}; remove one parent_id"
                )
            path[each] = None
            each = batch[each].parent_id
        checked.update(path)


def _show_circle(circle: Sequence[TaskId]) -> str:
    shown = [str(task_id) for task_id in circle]
    if len(shown) > _MAX_NAMED:
        middle = f"… {len(shown) - _MAX_NAMED} more …"
        shown = [*shown[: _MAX_NAMED - 2], middle, *shown[-2:]]
    return " → ".join(shown)


def _find_circle(
    batch: Mapping[TaskId, Task], waiting_for: Mapping[TaskId, set[TaskId]]
) -> list[TaskId]:
    """Find one cycle among tasks that all wait for another one of them."""
    path: list[TaskId] = []
    place: dict[TaskId, int] = {}
    task_id = next(iter(waiting_for))
    while task_id not in place:
        place[task_id] = len(path)
        path.append(task_id)
        # In the order of `depends_on`, because sets have no order.
        task_id = next(each for each in batch[task_id].depends_on if each in waiting_for)
    return [*path[place[task_id] :], task_id]


def is_stopping(record: TaskRecord) -> bool:
    """Whether a worker has not confirmed yet that it stopped an attempt at a task.

    The confirmation must find the record; and until then the slot is not free.
    """
    keys = ((each.worker, (record.task_id, each.number)) for each in record.attempts)
    return any(key in worker.stopping or key in worker.withdrawn for worker, key in keys)


def _check_forgettable(record: TaskRecord, named_by: int) -> None:
    told = f"task {record.task_id!r} is {record.status.value}"
    if not record.status.is_final:
        raise IllegalTransition(f"{told}, so it can't be forgotten yet; wait until it is settled")
    if named_by:
        raise IllegalTransition(
            f"{told}, but {named_by} other tasks depend on it or are its children, so it can't be "
            "forgotten; forget those tasks first, or together with this one"
        )
    for attempt in record.attempts:
        key, worker = (record.task_id, attempt.number), attempt.worker
        if key in worker.stopping or key in worker.withdrawn:
            raise IllegalTransition(
                f"{told}, but {attempt.worker.name} has not confirmed yet that it stopped attempt "
                f"{attempt.number}, so it can't be forgotten yet"
            )


def _fields(task: Task) -> dict[str, object]:
    return {"class": type(task).__name__, **dict(task)}


def _show(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}…"
