"""Finds the tasks of a run that can't go on as things are, and tells what they wait for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import NamedTuple

from ....messages import TaskId, TaskStatus
from ..matching.addressed import AddressedPolicy
from ..matching.eligibility import Eligibility
from ..matching.policies import effective_skill
from ..matching.ready_queue import TaskGroup
from ..model.occurrences import FailureCause
from ..model.records import TaskRecord, WorkerRecord
from .state import BoardState

MAX_TOLD = 20
"""How many reasons are told; the first are those of the most tasks."""

_MAX_NAMES = 5
_MAX_NAME_CHARACTERS = 60


class StuckCause(str, Enum):
    """Why tasks can't go on."""

    START = "start"
    NO_WORKER = "no worker"
    SKILL = "skill"
    NAMED_SKILL = "named skill"
    HANDLER = "handler"
    ADDRESSEE = "addressee"
    LADDER = "ladder"
    DECLINED = "declined"
    BUDGET = "budget"
    QUARANTINE = "quarantine"
    DEPENDENCY = "dependency"
    OTHER = "other"


class StuckTasks(NamedTuple):
    """Some tasks that can't go on, all for the same reason.

    Args:
        cause: the kind of reason.
        tasks: how many there are.
        text: the reason as one line for people, such as "12 waiting for a worker with skill 9; the
            best connected has 5".
    """

    cause: StuckCause
    tasks: int
    text: str


class _Reason(NamedTuple):
    cause: StuckCause
    text: str


def find_stuck_tasks(board: BoardState) -> tuple[StuckTasks, ...]:
    """The tasks that nothing which is under way will set going again, by reason.

    Args:
        board: the board of a run; of one that has ended, or is suspended or paused, there are none.

    Returns:
        The reasons, those of the most tasks first; `MAX_TOLD` at most.
    """
    if board.has_ended or board.is_suspended or board.pause.holds or not board.unsettled:
        return ()
    if board.began_at is None:
        return _before_the_start(board)
    queue = board.queue
    counts: dict[_Reason, int] = {}
    stuck: list[TaskRecord] = []
    for group in queue.groups.values():
        if not group.count:
            continue
        reason = _reason_of(board, group)
        if reason is not None:
            counts[reason] = counts.get(reason, 0) + group.count
            records = (entry.record for entry in group.current_entries())
            stuck.extend(record for record in records if record.dependents)
    if not counts:
        return ()
    told = [StuckTasks(cause, n, f"{n:,} {text}") for (cause, text), n in counts.items()]
    blocked = _count_blocked(stuck)
    if blocked:
        text = f"{blocked:,} waiting for these"
        told.append(StuckTasks(StuckCause.DEPENDENCY, blocked, text))
    told.sort(key=lambda each: (each.cause is StuckCause.DEPENDENCY, -each.tasks))
    return tuple(told[:MAX_TOLD])


def _before_the_start(board: BoardState) -> tuple[StuckTasks, ...]:
    barrier, count = board.start_barrier, board.unsettled
    if barrier.opened_at is None or barrier.is_over:
        return ()
    progress = barrier.progress(board.worker_registry)
    text = f"{count:,} waiting for the start: {progress}"
    cause = StuckCause.START if board.worker_registry.present else StuckCause.NO_WORKER
    return (StuckTasks(cause, count, text),)


def _reason_of(board: BoardState, group: TaskGroup) -> _Reason | None:
    """Why no worker will get the tasks of a group; None if one may, now or when it is free."""
    queue = board.queue
    workers = tuple(queue.workers)
    if not workers:
        if any(worker.may_have_leases for worker in board.workers.values()):
            # A resumed run waits for its workers.
            return None
        return _Reason(StuckCause.NO_WORKER, "waiting for a worker; none is connected")
    eligibility = queue.eligibility_for(group)
    able = eligibility.able(workers)
    if able:
        return _unavailable(board, able)
    limit_s = board.rules.unmatched_after_s
    fails = "" if limit_s is None else f" (fails after {limit_s:g} s)"
    reason = _unmatched(eligibility, workers)
    return reason._replace(text=reason.text + fails)


def _unavailable(board: BoardState, able: Sequence[WorkerRecord]) -> _Reason | None:
    """Why none of the workers that could run a task gets one; None if one is free or busy."""
    queue = board.queue
    if any(worker.taken for worker in able):
        return None
    if all(worker.is_leaving or worker.quarantined_until is not None for worker in able):
        what = "waiting; all workers that could run them are in quarantine or leaving"
        return _Reason(StuckCause.QUARANTINE, what)
    is_idle = not board.counts[TaskStatus.IN_PROGRESS]
    if is_idle and all(map(queue.is_too_dear, able)):
        text = f"waiting: {board.budget.describe()}, and all workers that could run them cost"
        return _Reason(StuckCause.BUDGET, f"{text} something")
    return None


def _unmatched(eligibility: Eligibility, workers: Sequence[WorkerRecord]) -> _Reason:
    """What no connected worker has that a group of tasks needs."""
    task, terms, policy = eligibility.task, eligibility.terms, eligibility.policy
    addressee = policy.addressees.get(task.id) if isinstance(policy, AddressedPolicy) else None
    if addressee is not None and all(worker.name != addressee for worker in workers):
        text = f"waiting for worker {_name(addressee)}, which is not connected"
        return _Reason(StuckCause.ADDRESSEE, text)
    is_review = terms.restriction is not None and terms.restriction.is_review
    knowing = [each for each in workers if each.task_types is None or task.type in each.task_types]
    if not knowing and not is_review:
        known = sorted({name for each in workers for name in each.task_types or ()})
        what = f"a handler for {task.type!r}" if task.type else "simulated work (no type)"
        text = f"waiting for a worker with {what}; connected: {_list(known)}"
        return _Reason(StuckCause.HANDLER, text)
    shortfall = eligibility.shortfall(workers)
    if shortfall.cause is FailureCause.BUDGET:
        return _Reason(StuckCause.BUDGET, f"waiting: {shortfall.text}")
    if shortfall.cause is FailureCause.DECLINED:
        return _Reason(StuckCause.DECLINED, f"waiting: {shortfall.text}")
    if terms.restriction is None and addressee is None:
        skills = [effective_skill(task, each) for each in knowing]
        if max(skills, default=0) < task.difficulty and _lacks_skill(eligibility, knowing):
            of_type = f" for {task.type!r}" if len(knowing) < len(workers) else ""
            text = f"waiting for a worker with skill {task.difficulty}{of_type}; the best connected"
            return _Reason(StuckCause.SKILL, f"{text} has {max(skills):g}")
        named = _missing_named_skill(eligibility, knowing)
        if named is not None:
            return named
    if terms.ladder and "ladder" in shortfall.text:
        return _Reason(StuckCause.LADDER, f"waiting: {shortfall.text}")
    return _Reason(StuckCause.OTHER, f"waiting: {shortfall.text}")


def _lacks_skill(eligibility: Eligibility, workers: Iterable[WorkerRecord]) -> bool:
    """Whether the policy gives the task to none of the workers that have a handler."""
    policy, task = eligibility.policy, eligibility.task
    return all(policy.obstacle(task, worker) is not None for worker in workers)


def _missing_named_skill(
    eligibility: Eligibility, workers: Sequence[WorkerRecord]
) -> _Reason | None:
    for name, level in eligibility.terms.skills:
        best = max((worker.skills.get(name, 0.0) for worker in workers), default=0.0)
        if best < level:
            has = f"the best connected has {best:g}" if best else "no connected worker has any"
            text = f"waiting for a worker with {_name(name)} {level:g}; {has}"
            return _Reason(StuckCause.NAMED_SKILL, text)
    return None


def _count_blocked(stuck: Iterable[TaskRecord]) -> int:
    """How many tasks depend on stuck tasks, directly or by others."""
    seen: set[TaskId] = set()
    to_look_at = list(stuck)
    while to_look_at:
        for dependent in to_look_at.pop().dependents or ():
            if dependent.task_id not in seen and not dependent.status.is_final:
                seen.add(dependent.task_id)
                to_look_at.append(dependent)
    return len(seen)


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMES:,} more" if len(names) > _MAX_NAMES else ""
    return (", ".join(map(_name, names[:_MAX_NAMES])) or "none") + more


def _name(name: str) -> str:
    return repr(name[:_MAX_NAME_CHARACTERS])


class StuckNews:
    """Tells what has changed in the reasons why tasks can't go on, each of them once.

    A new reason is told after it has held for a moment, since workers join one after the other.
    That workers are expected is usual at first, and told later: processes take their time to start.

    Args:
        after_s: how long a reason must hold before it is told, in seconds.
        start_after_s: the same for workers that are expected before the start.
    """

    def __init__(self, after_s: float = 1.0, start_after_s: float = 30.0) -> None:
        self._after_s = after_s
        self._start_after_s = start_after_s
        self._since: dict[_Reason, float] = {}
        self._told: frozenset[_Reason] = frozenset()
        self._undone = 0

    def lines(self, board: BoardState, stuck: Sequence[StuckTasks], now: float) -> list[str]:
        """What is to be told now: all reasons if there is a new one, or that tasks can go on.

        Args:
            board: the board.
            stuck: what `find_stuck_tasks` returned for it.
            now: the time in seconds.
        """
        # Without the number of tasks: it changes with each task that is added or fails.
        present = {_Reason(each.cause, each.text.partition(" ")[2]): each for each in stuck}
        self._since = {reason: self._since.get(reason, now) for reason in present}
        after_s = self._start_after_s if board.began_at is None else self._after_s
        held = {each for each, since in self._since.items() if now - since >= after_s}
        undone = board.counts[TaskStatus.FAILED] + board.counts[TaskStatus.CANCELLED]
        before, has_failed = self._told, undone > self._undone
        if not present:
            self._told, self._undone = frozenset(), undone
            is_resolved = before and not has_failed and not board.has_ended
            return ["all waiting tasks can go on"] if is_resolved else []
        if held <= before:
            self._told = before & frozenset(present)
            return []
        self._told, self._undone = frozenset(held), undone
        return [each.text for reason, each in present.items() if reason in held]
