"""How long the board takes to match waiting tasks onto free workers, all of them at one moment.

    python tests/benchmarks/board_matching.py [--tasks 10000] [--workers 100] [--json]

The board alone: no network, no store, nothing encoded. With one slot each a worker gets one task,
with 100 all 10,000 tasks find a place.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time

from board_throughput import assignments_in, make_tasks
from muster.agents.kernel.board.board import Board
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import AssigningBegun, TasksAdded, WorkerJoined
from muster.messages import WorkerProfile

SLOTS = (1, 100)
ROUNDS = 5


def measure_matching(tasks: int, workers: int, slots: int) -> tuple[int, float]:
    """How many tasks were assigned at the moment at which all could be, and in how many ms."""
    board = Board(Rules(expected_workers=workers, ends_when_done=False))
    board.handle(TasksAdded(tuple(make_tasks(tasks))), 0.0)
    for number in range(workers):
        joined = WorkerJoined(
            f"w{number}", WorkerProfile(f"Worker{number}", 10 - number % 3, slots=slots)
        )
        board.handle(joined, 0.0)
    gc.collect()
    began = time.perf_counter()
    said = board.handle(AssigningBegun(), 0.0)
    took_s = time.perf_counter() - began
    return len(assignments_in(said)), 1e3 * took_s


def main() -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=10_000, help="how many tasks wait")
    parser.add_argument("--workers", type=int, default=100, help="how many workers are free")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    measured: list[dict[str, float]] = []
    for slots in SLOTS:
        rounds = [
            measure_matching(arguments.tasks, arguments.workers, slots) for _ in range(ROUNDS)
        ]
        times_ms = [took_ms for _, took_ms in rounds]
        measured.append(
            {
                "slots": slots,
                "assigned": rounds[0][0],
                "median_ms": round(statistics.median(times_ms), 2),
                "lowest_ms": round(min(times_ms), 2),
                "highest_ms": round(max(times_ms), 2),
            }
        )
    if arguments.json:
        told = {"tasks": arguments.tasks, "workers": arguments.workers, "by_slots": measured}
        sys.stdout.write(json.dumps(told) + "\n")
        return
    for each in measured:
        sys.stdout.write(
            f"{each['median_ms']:.1f} ms ({each['lowest_ms']:.1f} to {each['highest_ms']:.1f}) "
            f"for {each['assigned']:,} of {arguments.tasks:,} tasks onto {arguments.workers} "
            f"workers, {each['slots']} at once each\n"
        )


if __name__ == "__main__":
    main()
