"""A board that is looked over after every event, and short ways to tell it what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from muster.agents.kernel.board.board import Board
from muster.agents.kernel.board.invariants import check_invariants
from muster.agents.kernel.matching.policies import MatchingPolicy
from muster.agents.kernel.matching.policy_names import find_policy
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import (
    AssigningBegun,
    CancelRequested,
    Event,
    PriorityChanged,
    ProgressReported,
    ResultReceived,
    TasksAdded,
    TimePassed,
    WorkerHeard,
    WorkerJoined,
    WorkerLeft,
)
from muster.agents.kernel.model.instructions import Instruction, SendAssignment
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from muster.agents.kernel.model.records import TaskRecord
from muster.messages import (
    Task,
    TaskAssignment,
    TaskId,
    TaskProgress,
    TaskResult,
    TaskStatus,
    WorkerProfile,
)


def joined(worker_id: str, session: str = "", call: int = 1, **fields: Any) -> WorkerJoined:
    """A worker asks to be let in, with what it says of itself."""
    holding = fields.pop("holding", frozenset())
    return WorkerJoined(worker_id, WorkerProfile(**fields), session, call, holding)


class WatchedBoard:
    """A board at some time, validated after every event, that remembers all it said."""

    def __init__(self, policy: str | MatchingPolicy = "best_fit", **rules: Any) -> None:
        chosen = find_policy(policy) if isinstance(policy, str) else policy
        self.board = Board(Rules(**rules), chosen)
        self.now = 0.0
        self.said: list[Instruction] = []
        self.given: list[TaskAssignment] = []

    def handle(self, event: Event) -> list[Instruction]:
        said = self.board.handle(event, self.now)
        check_invariants(self.board)
        self.said += said
        self.given += [each.assignment for each in said if isinstance(each, SendAssignment)]
        return said

    # ------------------------------------------------------------------ what happens

    def add(self, *tasks: Task) -> list[Instruction]:
        return self.handle(TasksAdded(tasks))

    def join(self, name: str, skill: int = 5, **fields: Any) -> list[Instruction]:
        fields = {"worker_id": f"at {name}", "session": "1", **fields}
        return self.handle(joined(name=name, skill_level=skill, **fields))

    def handle_join_unchecked(self, name: str) -> list[Instruction]:
        """Join without the validation of the whole board, which takes long when it is large."""
        event = WorkerJoined(f"at {name}", WorkerProfile(name, skill_level=5), session="1")
        return self.board.handle(event, self.now)

    def begin(self) -> list[Instruction]:
        return self.handle(AssigningBegun())

    def heard(self, name: str) -> list[Instruction]:
        return self.handle(WorkerHeard(f"at {name}"))

    def leave(self, name: str, reason: str = "left") -> list[Instruction]:
        return self.handle(WorkerLeft(f"at {name}", reason))

    def succeed(self, task_id: TaskId, **fields: Any) -> list[Instruction]:
        return self.report(task_id, success=True, **fields)

    def fail(self, task_id: TaskId, **fields: Any) -> list[Instruction]:
        return self.report(task_id, success=False, **{"error_message": "Error: no", **fields})

    def report(
        self, task_id: TaskId, worker_id: str | None = None, **fields: Any
    ) -> list[Instruction]:
        """By default the result of the last attempt, from the worker that has it."""
        record = self.board.tasks.get(task_id)
        if record is not None:
            fields = {"worker": record.worker, "attempt": record.attempt, **fields}
        result = TaskResult(task_id=task_id, **fields)
        return self.handle(ResultReceived(worker_id or f"at {result.worker}", result))

    def progress(self, task_id: TaskId, percent: float, **fields: Any) -> list[Instruction]:
        record = self.board.tasks[task_id]
        fields = {"worker": record.worker, "attempt": record.attempt, **fields}
        progress = TaskProgress(task_id=task_id, percent=percent, **fields)
        return self.handle(ProgressReported(f"at {progress.worker}", progress))

    def cancel(self, task_id: TaskId, reason: str = "by the user") -> list[Instruction]:
        return self.handle(CancelRequested(task_id, reason))

    def set_priority(self, task_id: TaskId, priority: int) -> list[Instruction]:
        return self.handle(PriorityChanged(task_id, priority))

    def wait_until(self, at: float, *, hearing: Iterable[str] = ()) -> list[Instruction]:
        """Let time pass as a shell would: wake the board at each of its alarms.

        The workers named in `hearing` are heard just before each.
        """
        said: list[Instruction] = []
        while (alarm := self.board.next_timer_at()) is not None and alarm <= at:
            assert alarm >= self.now, "an alarm in the past"
            self.now = alarm
            for name in hearing:
                said += self.heard(name)
            said += self.handle(TimePassed())
            left = self.board.next_timer_at()
            assert left is None or left > alarm, "an alarm that does not go off"
        self.now = at
        for name in hearing:
            said += self.heard(name)
        return said

    # ------------------------------------------------------------------ what came of it

    def status(self, task_id: TaskId) -> TaskStatus:
        return self.board.tasks[task_id].status

    def record(self, task_id: TaskId) -> TaskRecord:
        return self.board.tasks[task_id]

    def places(self) -> dict[TaskId, str]:
        """Which tasks are in progress, and at whom."""
        return {
            task_id: record.worker
            for task_id, record in self.board.tasks.items()
            if record.status is TaskStatus.IN_PROGRESS
        }

    def handed_out(self) -> list[tuple[TaskId, str]]:
        """All assignments so far, in order."""
        return [(each.task.id, each.worker) for each in self.given]

    def happened(self, task_id: TaskId) -> list[OccurrenceKind]:
        """The kinds of occurrence in a task's story."""
        return [each.what for each in self.board.story(task_id)]


def _said_of(kind: type[Any], said: Iterable[Instruction]) -> list[Any]:
    return [each for each in said if isinstance(each, kind)]


def _task(task_id: TaskId, difficulty: int = 1, **fields: Any) -> Task:
    return Task(id=task_id, description=f"task {task_id}", difficulty=difficulty, **fields)


def _whats(said: Iterable[Instruction]) -> list[OccurrenceKind]:
    return [each.what for each in said if isinstance(each, Occurrence)]


@pytest.fixture
def watched() -> Callable[..., Any]:
    """Makes a board that is validated after every event; takes a policy and the rules."""
    return WatchedBoard


@pytest.fixture
def task() -> Callable[..., Task]:
    """Makes a task from its id, its difficulty and other fields."""
    return _task


@pytest.fixture
def only() -> Callable[..., list[Any]]:
    """Picks the instructions of one kind."""
    return _said_of


@pytest.fixture
def whats() -> Callable[..., list[OccurrenceKind]]:
    """The kinds of occurrence among instructions."""
    return _whats


@pytest.fixture
def crew(watched: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a board on which workers of given skills are there and the assigning has begun."""

    def make(policy: str | MatchingPolicy = "best_fit", /, **skills: int) -> Any:
        board = watched(policy, ends_when_done=False)
        for name, skill in skills.items():
            board.join(name, skill)
        board.begin()
        return board

    return make
