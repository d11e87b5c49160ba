"""What a policy has learned is in the rows of the write that has the results it learned from."""

from __future__ import annotations

import heapq
import random
from collections.abc import Mapping
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from muster.agents.kernel.board.board import Board
from muster.agents.kernel.board.learned_rows import LearnedRows, restore_learned
from muster.agents.kernel.board.restoration import read_board
from muster.agents.kernel.board.rows import LearnedRow, Rows, changed_rows
from muster.agents.kernel.matching.adaptive import AdaptivePolicy
from muster.agents.kernel.matching.policies import BestFit
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import (
    AssigningBegun,
    Event,
    ListeningStarted,
    ResultReceived,
    TasksAdded,
    TimePassed,
    WorkerJoined,
)
from muster.agents.kernel.model.instructions import SendAssignment
from muster.agents.store.memory import SharedRows
from muster.messages import DecodeError, InvalidInput, Task, TaskResult, WorkerProfile


class Remembering(BestFit):
    """A policy of a user's own that remembers."""

    name = "mine"

    def __init__(self, **parts: Any) -> None:
        self.parts: dict[str, Any] = parts

    def export_state(self) -> Mapping[str, Any]:
        return self.parts

    def restore_state(self, state: Mapping[str, Any]) -> None:
        if "bad" in state:
            raise InvalidInput("bad: it is bad")
        self.parts = dict(state)


class Tracking(Remembering):
    """One that knows what has changed."""

    changes: Mapping[str, Any] = {}

    def changed_state(self) -> Mapping[str, Any]:
        return self.changes


def test_a_policy_that_learns_nothing_has_no_rows() -> None:
    assert LearnedRows(BestFit()).changed() == ()
    restore_learned(BestFit(), (LearnedRow("best_fit", "Ada", b"\x01"),))


def test_first_all_rows_are_written_and_then_the_changed_ones() -> None:
    policy = Remembering(Ada=1, Ben=[2.5, None])
    rows = LearnedRows(policy)
    assert [(row.policy, row.part) for row in rows.changed()] == [("mine", "Ada"), ("mine", "Ben")]
    assert rows.changed() == ()
    policy.parts = {"Ada": 1, "Cy": {"x": b"y"}}
    assert [row.part for row in rows.changed()] == ["Ben", "Cy"]
    assert rows.changed() == ()


def test_a_policy_that_tracks_changes_is_asked_for_them_alone() -> None:
    policy = Tracking(Ada=1, Ben=2)
    rows = LearnedRows(policy)
    assert len(rows.changed()) == 2
    policy.changes = {"Ada": 1, "Ben": None, "Cy": 3}
    assert [(row.part, row.state is None) for row in rows.changed()] == [
        ("Ben", True),
        ("Cy", False),
    ]


def test_rows_come_back_to_the_policy_of_their_name_alone() -> None:
    written = LearnedRows(Remembering(Ada=[1, 2.5, "three", None])).changed()
    others = (LearnedRow("another", "Ada", b"\xc1"), LearnedRow("another", "Zoe", b"\x01"))
    restored = Remembering(Zoe=1)
    restore_learned(restored, (*others, *written))
    assert restored.parts == {"Ada": [1, 2.5, "three", None]}
    untouched = Remembering(Zoe=1)
    restore_learned(untouched, others)
    assert untouched.parts == {"Zoe": 1}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (LearnedRow("mine", "Ada", b"\xc1"), "what 'mine' has learned, part 'Ada': not msgpack"),
        (LearnedRow("mine", "bad", b"\x01"), "what 'mine' has learned: bad: it is bad"),
    ],
)
def test_an_unreadable_row_is_named_and_changes_nothing(row: LearnedRow, words: str) -> None:
    policy = Remembering(Zoe=1)
    with pytest.raises(DecodeError) as refused:
        read_board(Rows(b"", learned=(row,))._replace(run=None), policy=policy, now=0.0)
    assert words in str(refused.value)
    assert policy.parts == {"Zoe": 1}


# ---------------------------------------------------------------------------- a whole run

SKILLS = {"Ada": 9, "Ben": 4, "Cy": 7}
RULES = Rules(expected_workers=3, ends_when_done=False, lost_after_s=1e6)


class World:
    """Drives a board: workers succeed by their true skill, with luck that only a seed decides."""

    def __init__(self, board: Board, seed: int, now: float, session: str) -> None:
        self.board, self.seed, self.now = board, seed, now
        self.sent: list[tuple[Any, ...]] = []
        self._number = count()
        self._session = session
        self._queue: list[tuple[float, int, Event]] = []

    def push(self, at: float, *events: Event) -> None:
        for event in events:
            heapq.heappush(self._queue, (at, next(self._number), event))

    def join_all(self) -> None:
        for name in SKILLS:
            profile, address = WorkerProfile(name, skill_level=6), f"{name} {self._session}"
            self.push(self.now, WorkerJoined(address, profile, session=self._session))

    def steps(self) -> Any:
        """Handle one event after the other; yields the board's instructions."""
        while self._queue or self.board.unsettled:
            timer_at = self.board.next_timer_at()
            event: Event = TimePassed()
            if self._queue and (timer_at is None or self._queue[0][0] <= timer_at):
                at, _, event = heapq.heappop(self._queue)
            else:
                assert timer_at is not None
                assert timer_at < self.now + 1000
                at = timer_at
            self.now = max(self.now, at)
            done = self.board.handle(event, self.now)
            for each in done:
                if isinstance(each, SendAssignment):
                    self._begin(each)
            yield done

    def _begin(self, sent: SendAssignment) -> None:
        task = sent.task
        self.sent.append((round(self.now, 6), task.id, sent.attempt, sent.worker))
        luck = random.Random(f"{self.seed} {task.id} {sent.worker} {sent.attempt}")
        succeeds = SKILLS[sent.worker] + luck.gauss(0, 1.5) >= task.difficulty
        took_s = luck.uniform(0.5, 2.0)
        result = TaskResult(
            task_id=task.id,
            worker=sent.worker,
            success=succeeds,
            execution_time=took_s,
            error_message=None if succeeds else "ValueError: too hard",
            attempt=sent.attempt,
        )
        self.push(self.now + took_s, ResultReceived(sent.worker_id, result))


def tasks(seed: int, number: int) -> tuple[Task, ...]:
    chance = random.Random(seed)
    return tuple(
        Task(each, "work", chance.randint(2, 9), type=chance.choice("ab"), max_attempts=2)
        for each in range(1, number + 1)
    )


@given(seed=st.integers(0, 10_000), cut=st.integers(3, 60))
@settings(deadline=None, max_examples=5)
def test_a_restored_run_decides_as_the_one_that_went_on(seed: int, cut: int) -> None:
    first = Board(RULES, AdaptivePolicy())
    kept, learned = SharedRows(), LearnedRows(first.queue.policy)
    world = World(first, seed, 0.0, "first")
    world.push(0.0, TasksAdded(tasks(seed, 30)))
    world.join_all()
    world.push(0.0, AssigningBegun())
    steps = world.steps()
    for _, done in zip(range(cut), steps, strict=False):
        rows = changed_rows(first, done)
        kept.keep(rows._replace(learned=learned.changed()))
    rows = kept.read()
    assert {row.part for row in rows.learned} >= {""}

    def resume(rows: Rows, policy: AdaptivePolicy) -> World:
        board = read_board(rows, RULES, policy, now=world.now)
        resumed = World(board, seed, world.now, "second")
        resumed.push(world.now, ListeningStarted())
        resumed.join_all()
        if board.began_at is None:
            resumed.push(world.now, AssigningBegun())
        for _ in resumed.steps():
            pass
        return resumed

    restored = resume(rows, AdaptivePolicy())
    policy = first.queue.policy
    assert isinstance(policy, AdaptivePolicy)
    went_on = resume(rows._replace(learned=()), policy)
    assert restored.sent == went_on.sent
    assert restored.board.counts == went_on.board.counts
    assert not restored.board.unsettled
