"""How fast the board is, and how much it keeps: events a second, bytes a task, cost by backlog.

    python tests/benchmarks/board_throughput.py [--tasks 100000] [--workers 50] [--json]

An event is a task added or a result received. Messages are made beforehand: they are the caller's.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
import tracemalloc
from collections import deque

from muster.agents.kernel.board.board import Board
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import (
    AssigningBegun,
    ResultReceived,
    TasksAdded,
    WorkerJoined,
)
from muster.agents.kernel.model.instructions import Instruction, SendAssignment
from muster.messages import Task, TaskAssignment, TaskResult, WorkerProfile

BACKLOGS = (1_000, 10_000, 100_000)
ROUNDS = 3


def make_tasks(count: int) -> list[Task]:
    """Tasks of all difficulties, none of which depends on another."""
    return [
        Task(id=number, description=f"task {number}", difficulty=1 + number % 10)
        for number in range(1, count + 1)
    ]


def make_board(workers: int) -> Board:
    """A board with workers of all skills, half of them with two slots."""
    board = Board(Rules(expected_workers=workers, ends_when_done=False))
    for number in range(workers):
        skill = 10 if number % 5 == 0 else 5 + number % 6
        joined = WorkerJoined(
            f"w{number}", WorkerProfile(f"Worker{number}", skill, slots=1 + number % 2)
        )
        board.handle(joined, 0.0)
    return board


def assignments_in(instructions: list[Instruction]) -> list[tuple[str, TaskAssignment]]:
    """What the board gave out, and to which address."""
    return [
        (instruction.worker_id, instruction.assignment)
        for instruction in instructions
        if isinstance(instruction, SendAssignment)
    ]


def success(given: tuple[str, TaskAssignment]) -> ResultReceived:
    """The result of an assignment that went well."""
    worker_id, assignment = given
    result = TaskResult(
        task_id=assignment.task.id,
        worker=assignment.worker,
        success=True,
        execution_time=0.1,
        attempt=assignment.attempt,
    )
    return ResultReceived(worker_id, result)


def measure_throughput(tasks: int, workers: int) -> float:
    """Events a second over a whole run: every task added alone, assigned and answered."""
    batches = [TasksAdded((task,)) for task in make_tasks(tasks)]
    board, now = make_board(workers), 0.0
    spent = time.perf_counter()
    for batch in batches:
        board.handle(batch, now)
    running = deque(assignments_in(board.handle(AssigningBegun(), now)))
    spent = time.perf_counter() - spent
    while running:
        event = success(running.popleft())
        now += 0.001
        began = time.perf_counter()
        instructions = board.handle(event, now)
        board.next_timer_at()
        spent += time.perf_counter() - began
        running.extend(assignments_in(instructions))
    assert len(board.results) == tasks
    return 2 * tasks / spent


def measure_memory(tasks: int, workers: int) -> float:
    """Bytes that the board keeps for a settled task, beside the task and its result."""
    made = make_tasks(tasks)
    board, now = make_board(workers), 0.0
    results = {task.id: TaskResult(task_id=task.id, worker="", success=True) for task in made}
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    board.handle(TasksAdded(tuple(made)), now)
    running = deque(assignments_in(board.handle(AssigningBegun(), now)))
    while running:
        worker_id, assignment = running.popleft()
        result = results[assignment.task.id]
        result.worker = assignment.worker
        now += 0.001
        running.extend(assignments_in(board.handle(ResultReceived(worker_id, result), now)))
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / tasks


def measure_backlog(backlog: int, workers: int, events: int = 1_000) -> float:
    """Microseconds for a result and the assignment that follows it, with so many tasks waiting."""
    board, now = make_board(workers), 0.0
    board.handle(TasksAdded(tuple(make_tasks(backlog + workers * 2 + events))), now)
    running = deque(assignments_in(board.handle(AssigningBegun(), now)))
    spent = 0.0
    for _ in range(events):
        event = success(running.popleft())
        now += 0.001
        began = time.perf_counter()
        instructions = board.handle(event, now)
        spent += time.perf_counter() - began
        running.extend(assignments_in(instructions))
    return 1e6 * spent / events


def main() -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=100_000, help="how many tasks a run has")
    parser.add_argument("--workers", type=int, default=50, help="how many workers there are")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    throughput = max(measure_throughput(arguments.tasks, arguments.workers) for _ in range(ROUNDS))
    memory = measure_memory(min(arguments.tasks, 20_000), arguments.workers)
    backlogs = {
        backlog: min(measure_backlog(backlog, arguments.workers) for _ in range(ROUNDS))
        for backlog in BACKLOGS
    }
    if arguments.json:
        measured = {
            "events_per_second": round(throughput),
            "bytes_per_task": round(memory),
            "microseconds_by_backlog": {
                str(backlog): round(spent, 2) for backlog, spent in backlogs.items()
            },
        }
        sys.stdout.write(json.dumps(measured) + "\n")
        return
    lines = [
        f"{throughput:,.0f} events/s, {arguments.tasks:,} tasks, {arguments.workers} workers",
        f"{memory:,.0f} bytes a task",
        *(
            f"{spent:.1f} µs for a result and the next assignment, {backlog:,} tasks waiting"
            for backlog, spent in backlogs.items()
        ),
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
