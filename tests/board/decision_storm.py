"""A storm of tasks, faults and requests on a board, and a hash over all that the board decides.

Run as a program, it prints the hash of the storm for each policy that it is given.
"""

from __future__ import annotations

import hashlib
import heapq
import random
import sys
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

from muster.agents.kernel.board.board import Board
from muster.agents.kernel.board.rows import changed_rows
from muster.agents.kernel.matching.policy_names import find_policy
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import (
    AssigningBegun,
    CancelRequested,
    Event,
    PriorityChanged,
    ResultReceived,
    TasksAdded,
    TasksGivenBack,
    TimePassed,
    WorkerHeard,
    WorkerJoined,
    WorkerLeft,
)
from muster.agents.kernel.model.instructions import (
    AskAboutLeases,
    Instruction,
    SendAssignment,
    SendCancel,
    SendRecall,
)
from muster.messages import Limit, MusterError, Retry, Task, TaskId, TaskResult, WorkerProfile

TYPES = ("", "paint", "sing")
LASTS_S = 12.0
LIMITS = (
    Limit(concurrent=70, rate=150, per_s=2.0),
    Limit("paint", concurrent=20),
    Limit(each_key=True, concurrent=12),
)

Key = tuple[TaskId, int]


class DecisionStorm:
    """30 workers with 3 slots each, many tasks, and random faults in virtual time.

    Args:
        policy: the name of the matching policy.
        seed: the seed of all that is random.
    """

    def __init__(self, policy: str, seed: int) -> None:
        self.chance = random.Random(f"{policy}/{seed}")
        rules = Rules(
            max_losses=2,
            lost_after_s=4.0,
            ends_when_done=False,
            quarantine_after=4,
            quarantine_s=2.0,
            prefetch_s=0.5,
            keep_results=60,
            limits=LIMITS,
        )
        self.board = Board(rules, find_policy(policy))
        self.now = 0.0
        self.hash = hashlib.blake2b()
        self.assigned = 0
        self.ids: list[TaskId] = []
        self.profiles = [self.profile(f"w{number}") for number in range(30)]
        self.calls: Counter[str] = Counter()
        self.sessions: Counter[str] = Counter()
        # What each worker holds, and whether it runs; by name.
        self.held: dict[str, dict[Key, bool]] = {}
        self.away: set[str] = set()
        self._planned: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._numbers = count()
        for profile in self.profiles:
            self.later(self.chance.random(), self.join, profile)
        self.later(1.0, self.tell, AssigningBegun())
        for _ in range(12):
            self.later(self.chance.uniform(0.5, 5.0), self.add)
        for _ in range(40):
            self.later(self.chance.uniform(2.0, 9.0), self.disturb)
        self.later(1.0, self.beat)

    def profile(self, name: str) -> WorkerProfile:
        chance = self.chance
        return WorkerProfile(
            name=name,
            skill_level=chance.randint(3, 9),
            slots=3,
            specialties=tuple(chance.sample(TYPES[1:], chance.randint(0, 2))),
            review_types=TYPES[1:],
        )

    def later(self, after_s: float, call: Callable[..., None], *arguments: Any) -> None:
        planned = (self.now + after_s, next(self._numbers), call, arguments)
        heapq.heappush(self._planned, planned)

    def run(self) -> str:
        while self._planned:
            alarm = self.board.next_timer_at()
            if alarm is not None and alarm <= self._planned[0][0]:
                self.now = alarm
                self.tell(TimePassed())
                continue
            self.now, _, call, arguments = heapq.heappop(self._planned)
            if self.now > LASTS_S:
                break
            call(*arguments)
        return self.hash.hexdigest()

    def tell(self, event: Event) -> None:
        try:
            told = self.board.handle(event, self.now)
        except MusterError as fault:
            told = []
            self.note(str(fault))
        for each in told:
            self.note(repr(each))
            if isinstance(each, SendAssignment):
                self.assigned += 1
                self.note(repr(self.board.tasks[each.task.id].decision))
        self.note(repr(changed_rows(self.board, told)))
        for each in told:
            self.obey(each)

    def note(self, text: str) -> None:
        self.hash.update(text.encode())

    # ------------------------------------------------------------------ what workers do

    def join(self, profile: WorkerProfile, is_back: bool = False) -> None:
        name = profile.name
        self.away.discard(name)
        self.calls[name] += 1
        if not is_back:
            self.held[name] = {}
            self.sessions[name] += 1
        session, holding = str(self.sessions[name]), frozenset(self.held[name])
        self.tell(WorkerJoined(self.address(name), profile, session, self.calls[name], holding))

    def address(self, name: str) -> str:
        return f"{name}@{self.calls[name]}"

    def obey(self, told: Instruction) -> None:
        match told:
            case SendAssignment(address, task):
                name = address.partition("@")[0]
                self.held[name][task.id, told.attempt] = False
                self.begin(name)
            case SendCancel(address, task_id, attempt, _):
                # Some handlers go on for a while.
                key, wait_s = (task_id, attempt), self.chance.choice((0.05, 2.5))
                self.later(wait_s, self.end, address.partition("@")[0], key, "cancelled: told to")
            case SendRecall(address, attempts) | AskAboutLeases(address, attempts):
                held = self.held[address.partition("@")[0]]
                # What waits is given back if it is recalled, what is unknown if it is asked for.
                returned = False if isinstance(told, SendRecall) else None
                back = tuple(each for each in attempts if held.get(each) is returned)
                for each in back:
                    held.pop(each, None)
                self.later(0.02, self.tell, TasksGivenBack(address, back))
            case _:
                pass

    def begin(self, name: str) -> None:
        held = self.held[name]
        for key, runs in tuple(held.items()):
            if not runs and sum(held.values()) < 3:
                held[key] = True
                chance = random.Random(repr(key))
                error = "ValueError: no" if chance.random() < 0.2 else None
                self.later(chance.choice((0.05, 0.2, 1.0, 3.0)), self.end, name, key, error)

    def end(self, name: str, key: Key, error: str | None) -> None:
        if name in self.away:
            self.later(0.5, self.end, name, key, error)
        elif key in self.held[name]:
            del self.held[name][key]
            result = TaskResult(
                key[0], name, error is None, 0.1, error, attempt=key[1], output=len(str(key)) % 2
            )
            self.tell(ResultReceived(self.address(name), result))
            self.begin(name)

    def beat(self) -> None:
        for name in self.held:
            self.tell(WorkerHeard(self.address(name)))
        self.later(1.0, self.beat)

    # ------------------------------------------------------------------ what happens to them

    def add(self) -> None:
        chance = self.chance
        tasks: list[Task] = []
        for _ in range(chance.randint(10, 40)):
            number = len(self.ids) + 1
            task_id = chance.choice((number, f"job {number}"))
            known = [each for each in self.ids[-40:] if each in self.board.tasks]
            needed = chance.sample(known, min(len(known), chance.choice((0, 0, 0, 3))))
            tasks.append(
                Task(
                    task_id,
                    "any",
                    chance.randint(1, 8),
                    type=chance.choice(TYPES),
                    priority=chance.randint(-1, 1),
                    depends_on=tuple(needed),
                    parent_id=chance.choice(known) if known and chance.random() < 0.2 else None,
                    on_parent_cancel=chance.choice((None, "cancel", "keep")),
                    run_if=chance.choice(("completed", "settled")),
                    retry=Retry(max_attempts=3, wait_s=chance.choice((0.0, 0.5))),
                    timeout=chance.choice((None, 0.3)),
                    votes=chance.choice((1, 1, 1, 3)),
                    limit_key=chance.choice((None, "a", "b")),
                )
            )
            self.ids.append(task_id)
        self.tell(TasksAdded(tuple(tasks)))

    def disturb(self) -> None:
        chance, profile = self.chance, self.chance.choice(self.profiles)
        address = self.address(profile.name)
        match chance.randint(1, 4):
            case 1:
                self.tell(WorkerLeft(address, "killed", is_orderly=chance.random() < 0.2))
                self.join(profile)
            case 2:
                if chance.random() < 0.8:
                    self.tell(WorkerLeft(address, "its line broke"))
                    self.away.add(profile.name)
                self.later(chance.choice((0.1, 2.0)), self.join, profile, True)
            case 3:
                for task_id in chance.sample(self.ids, len(self.ids) // 8):
                    self.tell(CancelRequested(task_id))
            case _:
                for task_id in chance.sample(self.ids, len(self.ids) // 8):
                    self.tell(PriorityChanged(task_id, chance.randint(-2, 2)))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        storm = DecisionStorm(name, seed=3)
        print(name, storm.run(), storm.assigned)
