"""What the waiting tasks wait for: how many for what, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from ....messages import TaskStatus
from ..matching.keyed_queue import KeyedQueue
from ..matching.ready_queue import QueueEntry
from ..matching.task_queue import TaskQueue
from .state import BoardState
from .task_explanation import WaitKind, find_wait

MAX_GROUPS = 20
"""How many groups of tasks with different reasons are told: those of the most tasks."""

MAX_EXAMINED = 200
"""For how many groups of tasks, or keys of them, it is found out what they wait for."""


class WaitingGroup(NamedTuple):
    """Some tasks that wait for the same.

    Args:
        kind: the kind of reason.
        text: the reason, in the words of `explain_task`.
        numbers: the tasks' numbers in the order in which tasks were added, some of them at least.
    """

    kind: WaitKind
    text: str
    numbers: Sequence[int]


class WaitingGroups(NamedTuple):
    """What the waiting tasks wait for.

    Args:
        kinds: how many wait for what.
        groups: those that wait for something else than the others.
        others: what those wait for that are in no group, and wait for no task and no time.
    """

    kinds: Mapping[WaitKind, int]
    groups: Sequence[WaitingGroup]
    others: WaitKind


def find_waiting_groups(board: BoardState, max_numbers: int) -> WaitingGroups:
    """Find out what the waiting tasks wait for, by groups of tasks that wait for the same.

    Args:
        board: the board.
        max_numbers: how many tasks the groups name at most.
    """
    queue, pending = board.queue, board.counts[TaskStatus.PENDING]
    if not pending or board.has_ended:
        return WaitingGroups({}, (), WaitKind.SLOT)
    delayed = sum(not each.unfinished for each in board.task_registry.delayed.values())
    kinds = {WaitKind.TASK: max(pending - queue.count - delayed, 0), WaitKind.TIME: delayed}
    if board.pause.holds:
        kinds |= {WaitKind.TIME: 0, WaitKind.PAUSE: queue.count + delayed}
        return WaitingGroups(_positive(kinds), (), WaitKind.PAUSE)
    if board.began_at is None:
        kinds[WaitKind.START] = queue.count
        return WaitingGroups(_positive(kinds), (), WaitKind.START)
    found: dict[tuple[WaitKind, str], list[int]] = {}
    counts: Counter[WaitKind] = Counter()
    for count, entries in islice(_alike(queue), MAX_EXAMINED):
        first = next(entries, None)
        if first is None:
            continue
        wait = find_wait(board, first.record)
        if wait.kind is not WaitKind.SLOT:
            counts[wait.kind] += count
            numbers = found.setdefault((wait.kind, wait.text), [])
            numbers.append(first.record.sequence)
            left = max_numbers - len(numbers)
            numbers += (entry.record.sequence for entry in islice(entries, max(left, 0)))
    kinds |= counts
    kinds[WaitKind.SLOT] = max(queue.count - sum(counts.values()), 0)
    groups = sorted(found.items(), key=lambda each: -len(each[1]))[:MAX_GROUPS]
    share = max_numbers // max(len(groups), 1)
    told = [WaitingGroup(*reason, sorted(numbers)[:share]) for reason, numbers in groups]
    return WaitingGroups(_positive(kinds), told, WaitKind.SLOT)


def _alike(queue: TaskQueue) -> Iterator[tuple[int, Iterator[QueueEntry]]]:
    """The waiting tasks that wait for the same, with about how many there are."""
    for group in queue.groups.values():
        if not group.count:
            continue
        entries = group.entries
        if isinstance(entries, KeyedQueue):
            for lane in entries.lanes:
                yield len(lane.tasks), _current(lane.entries())
        else:
            yield group.count, group.current_entries()


def _current(entries: Iterable[QueueEntry]) -> Iterator[QueueEntry]:
    return (entry for entry in entries if entry.record.queue_entry is entry)


def _positive(kinds: Mapping[WaitKind, int]) -> dict[WaitKind, int]:
    return {kind: count for kind, count in kinds.items() if count}
