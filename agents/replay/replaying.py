"""Plays a recorded run again on a board with another policy, in virtual time."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from itertools import count
from typing import NamedTuple

from ...messages import Task, TaskId, TaskResult, TaskStatus
from ..kernel.board.board import Board
from ..kernel.matching.policies import MatchingPolicy
from ..kernel.model.config import MAX_WORKERS, Rules
from ..kernel.model.events import (
    AssigningBegun,
    CancelRequested,
    Event,
    PriorityChanged,
    ResultReceived,
    TasksAdded,
    TasksGivenBack,
    TimePassed,
    WorkerJoined,
    WorkerLeft,
)
from ..kernel.model.instructions import Instruction, SendAssignment, SendCancel
from .expected_outcomes import ExpectedOutcome, ExpectedOutcomes
from .recorded_run import RecordedRun

NEVER_S = 1e9
"""A time that no recorded run lasts: workers are lost when they were, and not for silence."""

_GIVES_UP_AFTER_S = 1e6
"""How long nothing may happen before tasks that still wait are left, in seconds."""


class ReplayedAttempt(NamedTuple):
    """An attempt of a replay.

    Args:
        task_id: the task.
        worker: the worker's name.
        started_at: when it began, in seconds.
        ended_at: when it ended, in seconds.
        outcome: how it ended.
    """

    task_id: TaskId
    worker: str
    started_at: float
    ended_at: float
    outcome: ExpectedOutcome


class ReplayedRun(NamedTuple):
    """The outcome of a replay.

    Args:
        statuses: the status of each task at the end.
        attempts: the attempts that ended with a result, in the order of their ends.
        lost: the number of attempts that ended without one.
    """

    statuses: dict[TaskId, TaskStatus]
    attempts: list[ReplayedAttempt]
    lost: int


def replay_run(recorded: RecordedRun, policy: MatchingPolicy) -> ReplayedRun:
    """Play a recorded run again with a policy.

    Tasks are added, cancelled and given priorities when they were, and workers come and go when
    they did.

    Args:
        recorded: the recorded run.
        policy: the policy, which has not decided anything yet.
    """
    return _Replay(recorded, policy).play()


class _Replay:
    def __init__(self, recorded: RecordedRun, policy: MatchingPolicy) -> None:
        self._recorded = recorded
        rules = Rules(
            max_workers=max(MAX_WORKERS, len(recorded.profiles)),
            lost_after_s=NEVER_S,
            ends_when_done=False,
        )
        self._board = Board(rules, policy)
        self._outcomes = ExpectedOutcomes(recorded)
        self._numbers = count()
        self._events: list[tuple[float, int, Event]] = []
        self._under_way: dict[tuple[TaskId, int], ReplayedAttempt] = {}
        self._attempts: list[ReplayedAttempt] = []
        self._lost = 0

    def play(self) -> ReplayedRun:
        for at, event in _events_of(self._recorded):
            self._push(at, event)
        while (step := self._next()) is not None:
            self._step(*step)
        statuses = {task_id: record.status for task_id, record in self._board.tasks.items()}
        return ReplayedRun(statuses, self._attempts, self._lost + len(self._under_way))

    def _push(self, at: float, event: Event) -> None:
        heapq.heappush(self._events, (at, next(self._numbers), event))

    def _next(self) -> tuple[float, Event] | None:
        timer_at = self._board.next_timer_at()
        if self._events and (timer_at is None or self._events[0][0] <= timer_at):
            at, _, event = heapq.heappop(self._events)
            return at, event
        latest = self._board.last_event_at
        if timer_at is None or timer_at > latest + _GIVES_UP_AFTER_S:
            return None
        if not self._events and not self._board.unsettled:
            return None
        return max(timer_at, latest), TimePassed()

    def _step(self, at: float, event: Event) -> None:
        board = self._board
        match event:
            case ResultReceived(result=result):
                ended = self._under_way.pop((result.task_id, result.attempt), None)
                if ended is None:
                    # It was stopped, or its worker left.
                    return
                self._attempts.append(ended)
            case CancelRequested(task_id=task_id) if board.tasks[task_id].status.is_final:
                return
            case PriorityChanged(task_id=task_id) if (
                board.tasks[task_id].status is not TaskStatus.PENDING
            ):
                return
            case WorkerLeft(worker_id=name):
                self._lose(name)
            case _:
                pass
        self._follow(board.handle(event, at), at)

    def _lose(self, worker: str) -> None:
        gone = [key for key, each in self._under_way.items() if each.worker == worker]
        for key in gone:
            del self._under_way[key]
        self._lost += len(gone)

    def _follow(self, instructions: Iterable[Instruction], at: float) -> None:
        for each in instructions:
            if isinstance(each, SendAssignment):
                self._begin(each, at)
            elif isinstance(each, SendCancel):
                key = (each.task_id, each.attempt)
                self._lost += self._under_way.pop(key, None) is not None
                self._push(at, TasksGivenBack(each.worker_id, (key,)))

    def _begin(self, sent: SendAssignment, at: float) -> None:
        task = self._recorded.tasks[sent.task.id]
        outcome = self._outcomes.next(task, self._board.workers[sent.worker])
        ended_at = at + outcome.duration_s
        self._under_way[task.id, sent.attempt] = ReplayedAttempt(
            task.id, sent.worker, at, ended_at, outcome
        )
        result = TaskResult(
            task_id=task.id,
            worker=sent.worker,
            success=outcome.is_success,
            execution_time=outcome.duration_s,
            error_message=outcome.error or None,
            attempt=sent.attempt,
            cost=outcome.cost,
            quality=outcome.quality,
        )
        self._push(ended_at, ResultReceived(sent.worker_id, result))


def _events_of(recorded: RecordedRun) -> Iterable[tuple[float, Event]]:
    """What came from outside, in an order in which things of one moment may happen."""
    batch: list[Task] = []
    batch_at = 0.0
    for task_id, task in recorded.tasks.items():
        at = recorded.arrivals[task_id]
        if batch and at != batch_at:
            yield batch_at, TasksAdded(tuple(batch))
            batch = []
        batch_at = at
        batch.append(_without_limits(task))
    if batch:
        yield batch_at, TasksAdded(tuple(batch))
    for number, (at, worker, is_join) in enumerate(recorded.presences):
        if is_join:
            yield at, WorkerJoined(worker, recorded.profiles[worker], session=str(number))
        else:
            yield at, WorkerLeft(worker, "it left the recorded run")
    for at, task_id in recorded.cancels:
        yield at, CancelRequested(task_id)
    for at, task_id, priority in recorded.priorities:
        yield at, PriorityChanged(task_id, priority)
    if recorded.began_at is not None:
        yield recorded.began_at, AssigningBegun()


def _without_limits(task: Task) -> Task:
    """The task as the board of a replay gets it: the expected outcome knows its timeout.

    A review and further votes were attempts of their own, and grades are in the record.
    """
    return task.model_copy(
        update={"timeout": NEVER_S, "expires_s": None, "review": False, "votes": 1}
    )
