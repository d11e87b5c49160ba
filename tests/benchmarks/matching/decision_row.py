"""What decisions cost in processor time: on the board alone, and in a whole run of no-op tasks."""

from __future__ import annotations

import gc
import time
from collections import deque
from typing import Any

from muster.agents import Handlers, TaskManager, WorkerAgent
from muster.agents.kernel.board.board import Board
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import (
    AssigningBegun,
    ResultReceived,
    TasksAdded,
    WorkerJoined,
)
from muster.agents.kernel.model.instructions import SendAssignment
from muster.agents.simulation.hidden_skills import TYPES, HiddenWorld, mixed_cast, seeded
from muster.agents.simulation.rehearsal import rehearse
from muster.agents.simulation.virtual_time import run_in_virtual_time
from muster.messages import Payload, Task, TaskResult, WorkerProfile

from .row import Figure, Job, Outcome, Row, find

ROUNDS = 3
SUCCESS_RATE = 0.7
SLOTS = 64
WORLD = HiddenWorld(1, mixed_cast(), ())


def measure_decision_us(policy: str, workers: int, waiting: int, events: int) -> float:
    """Microseconds for a result and the assignment that follows it, on the board alone."""
    board = Board(Rules(expected_workers=workers, ends_when_done=False), find(policy, WORLD))
    for number in range(workers):
        skill = 10 if number % 5 == 0 else 5 + number % 6
        board.handle(WorkerJoined(f"w{number}", WorkerProfile(f"Worker{number}", skill)), 0.0)
    luck = seeded("decisions", workers)
    tasks = tuple(
        Task(
            id=number,
            description="waits",
            type=luck.choice(TYPES),
            difficulty=luck.randint(1, 10),
        )
        for number in range(1, waiting + workers + events + 1)
    )
    board.handle(TasksAdded(tasks), 0.0)
    running = deque(_given(board.handle(AssigningBegun(), 0.0)))
    now = spent_s = 0.0
    # The first ones are not counted: the policy has no results yet.
    skipped = events // 4
    for number in range(events):
        worker_id, assignment = running.popleft()
        result = TaskResult(
            task_id=assignment.task.id,
            worker=assignment.worker,
            success=luck.random() < SUCCESS_RATE,
            execution_time=0.1,
            attempt=assignment.attempt,
        )
        now += 0.1 / workers
        began = time.process_time()
        said = board.handle(ResultReceived(worker_id, result), now)
        board.next_timer_at()
        took_s = time.process_time() - began
        spent_s += took_s if number >= skipped else 0.0
        running.extend(_given(said))
        if not running:
            raise AssertionError(f"{policy} gave out nothing more after {number} results")
    return 1e6 * spent_s / (events - skipped)


def measure_noop_us(policy: str, tasks: int) -> float:
    """Microseconds a task of a whole run of no-op tasks: manager, two workers and messages."""
    handlers = Handlers()

    @handlers.task("noop")
    async def noop(task: Task) -> Payload:
        del task

    made = [Task(id=number, description="no-op", type="noop") for number in range(1, tasks + 1)]
    manager = TaskManager(made, expected_workers=2, policy=find(policy, WORLD), quiet=True)
    workers = [WorkerAgent(f"w{each}", 5, slots=SLOTS, handlers=handlers) for each in range(2)]
    began = time.process_time()
    # In virtual time nobody waits, so all of it is work.
    report = run_in_virtual_time(rehearse(manager, workers))
    took_s = time.process_time() - began
    assert report.success_rate == 1.0
    return 1e6 * took_s / tasks


def _given(said: list[Any]) -> list[Any]:
    return [(each.worker_id, each.assignment) for each in said if isinstance(each, SendAssignment)]


def play_decisions(job: Job) -> Outcome:
    waiting, events = job.count(10_000, 500), job.count(2_000, 100)
    noops = job.count(5_000, 200)
    best: dict[tuple[str, str], float] = {}
    names = tuple(dict.fromkeys(("best_fit", *job.policies)))
    # By turns, so that what slows the machine down slows all of them.
    for _ in range(job.count(ROUNDS, 1)):
        for policy in names:
            for key, measure in (
                ("us_8", lambda name: measure_decision_us(name, 8, waiting, events)),
                ("us_100", lambda name: measure_decision_us(name, 100, waiting, events)),
                ("noop_us", lambda name: measure_noop_us(name, noops)),
            ):
                gc.collect()
                best[policy, key] = min(best.get((policy, key), float("inf")), measure(policy))
    outcome = Outcome()
    for policy in names:
        figures = {key: took for (name, key), took in best.items() if name == policy}
        figures["ratio_8"] = figures["us_8"] / best["best_fit", "us_8"]
        figures["ratio_100"] = figures["us_100"] / best["best_fit", "us_100"]
        figures["noop_rate"] = best["best_fit", "noop_us"] / figures["noop_us"]
        outcome.figures[policy] = figures
    return outcome


DECISION_ROWS = (
    Row(
        "decision",
        "a result and the next decision with 10,000 waiting, and no-op tasks; processor time",
        (
            Figure("us_8", "µs, 8 workers", today="23-43", digits=1),
            Figure("us_100", "µs, 100 workers", today="23-43", digits=1),
            Figure("ratio_8", "over best_fit, 8", 1.3, at_most=True, digits=2),
            Figure("ratio_100", "over best_fit, 100", 1.3, at_most=True, digits=2),
            Figure("noop_us", "µs a no-op task", digits=1),
            Figure("noop_rate", "no-op rate over best_fit", 0.95, digits=2),
        ),
        play_decisions,
        ("best_fit",),
        seeds=1,
    ),
)
