"""What a decision costs in real time, on the board alone."""

from __future__ import annotations

import gc
import time
from collections import deque
from typing import Any

from muster.agents.kernel.board.board import Board
from muster.agents.kernel.matching.policy_names import find_policy
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import (
    AssigningBegun,
    ResultReceived,
    TasksAdded,
    WorkerJoined,
)
from muster.agents.kernel.model.instructions import SendAssignment
from muster.agents.simulation.hidden_skills import seeded
from muster.messages import Task, TaskResult, WorkerProfile

from .row import Figure, Job, Outcome, Row

TYPES = ("code", "text", "vision", "math")
ROUNDS = 3


def measure_decision_us(policy: Any, workers: int, waiting: int, events: int) -> float:
    """Microseconds for a result and the assignment that follows it."""
    made = find_policy(policy) if isinstance(policy, str) else policy
    board = Board(Rules(expected_workers=workers, ends_when_done=False), made)
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
    now = 0.0
    running = deque(_given(board.handle(AssigningBegun(), now)))
    spent_s = 0.0
    for number in range(events):
        if not running:
            break
        worker_id, assignment = running.popleft()
        result = TaskResult(
            task_id=assignment.task.id,
            worker=assignment.worker,
            success=luck.random() < 0.7,
            execution_time=0.1,
            attempt=assignment.attempt,
        )
        now += 0.1 / workers
        began = time.perf_counter()
        said = board.handle(ResultReceived(worker_id, result), now)
        board.next_timer_at()
        took_s = time.perf_counter() - began
        if number >= events // 4:
            spent_s += took_s
        running.extend(_given(said))
    return 1e6 * spent_s / (events - events // 4)


def _given(said: list[Any]) -> list[Any]:
    return [(each.worker_id, each.assignment) for each in said if isinstance(each, SendAssignment)]


def play_decisions(job: Job) -> Outcome:
    waiting, events = job.count(10_000, 500), job.count(2_000, 100)
    best: dict[tuple[str, int], float] = {}
    names = tuple(dict.fromkeys(("best_fit", *job.policies)))
    # By turns, so that what slows the machine down slows all of them.
    for _ in range(job.count(ROUNDS, 1)):
        for workers in (8, 100):
            for policy in names:
                gc.collect()
                took = measure_decision_us(policy, workers, waiting, events)
                key = policy, workers
                best[key] = min(best.get(key, took), took)
    outcome = Outcome()
    for policy in names:
        outcome.figures[policy] = {
            "us_8": best[policy, 8],
            "us_100": best[policy, 100],
            "ratio_8": best[policy, 8] / best["best_fit", 8],
            "ratio_100": best[policy, 100] / best["best_fit", 100],
        }
    return outcome


DECISION_ROWS = (
    Row(
        "decision",
        "a result and the next decision, 10,000 waiting, real time",
        (
            Figure("us_8", "µs, 8 workers", today="23-43", digits=1),
            Figure("us_100", "µs, 100 workers", today="23-43", digits=1),
            Figure("ratio_8", "over best_fit, 8", 1.3, at_most=True, digits=2),
            Figure("ratio_100", "over best_fit, 100", 1.3, at_most=True, digits=2),
        ),
        play_decisions,
        ("best_fit",),
        seeds=1,
    ),
)
