"""What learning saves with two models, through real HTTP and two worker processes.

    python tests/benchmarks/model_outcomes.py [--questions 2000] [--thrift 0.01] [--seed 1000]

A server that is compatible with OpenAI's answers each question rightly or wrongly, as two real
models did by their recorded outcomes. The strong one costs 25 times as much as the weak one. The
workers are processes of `muster worker --model`; a reviewer in this process compares each answer
with the right one, and what it rejects is asked of the other model. The result is told against
always asking the strong one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from matching.real_rows import COSTS, STRONG, WEAK, read_outcomes
from muster.agents import TaskManager, WorkerAgent
from muster.agents.simulation.hidden_skills import seeded
from muster.messages import Task, TaskResult
from muster.scenarios.model_server import ModelCall, ModelReply, ModelServer

DATA = Path(__file__).resolve().parent / "matching" / "data"
SLOTS = 16
WAITING = 4
TOKENS_IN = 1_000
RIGHT, WRONG = "the right answer", "another answer"


@dataclass(frozen=True)
class Played:
    """What came of the questions.

    Args:
        questions: how many were asked.
        right: how many answers were right.
        strong_right: how many those of the strong model alone would have been.
        cost: what all attempts cost.
        strong_cost: what always asking the strong model would have cost.
        most_in_flight: how many calls were open at once, at most.
        took_s: how long it took, in seconds.
    """

    questions: int
    right: int
    strong_right: int
    cost: float
    strong_cost: float
    most_in_flight: int
    took_s: float

    @property
    def right_ratio(self) -> float:
        """The right answers, of those of always the strong one."""
        return self.right / self.strong_right

    @property
    def cost_ratio(self) -> float:
        """The cost, of that of always the strong one."""
        return self.cost / self.strong_cost


def worker_command(name: str, url: str, ticket: str, types: Sequence[str]) -> list[str]:
    """The command of a worker whose model costs what `COSTS` says, at `TOKENS_IN` a question."""
    price = COSTS[name] * 1_000_000 / TOKENS_IN
    command = [sys.executable, "-m", "muster.agents.command", "worker", "--join", ticket]
    command += ["--name", name, "--skill", "7", "--slots", str(SLOTS), "--ends-with-parent"]
    # What a question is expected to cost, until its tokens are known.
    command += ["--cost-per-task", str(COSTS[name])]
    command += ["--model", name, "--base-url", url, "--price-in", str(price), "--price-out", "0"]
    return command + [each for name in types for each in ("--types", name)]


async def play(count: int, *, thrift: float, seed: int, budget: float | None = None) -> Played:
    """Ask recorded questions in an order of the seed."""
    rows = read_outcomes(DATA)
    seeded(seed, "order").shuffle(rows)
    rows = rows[:count]
    types = sorted({row[0] for row in rows})
    in_flight = {"now": 0, "most": 0}

    async def rule(call: ModelCall) -> ModelReply:
        in_flight["now"] += 1
        in_flight["most"] = max(in_flight["most"], in_flight["now"])
        await asyncio.sleep(0.01)
        in_flight["now"] -= 1
        _, weak, strong = rows[int(call.text.split()[1]) - 1]
        is_right = weak if call.model == WEAK else strong
        return ModelReply(RIGHT if is_right else WRONG, tokens_in=TOKENS_IN, tokens_out=3)

    examiner = WorkerAgent("examiner", 7, slots=2 * SLOTS)

    def examine(task: Task, result: TaskResult) -> bool:
        return result.output == RIGHT

    for each in types:
        examiner.review(each)(examine)
    tasks = [
        Task(
            number,
            f"question {number}",
            type=row[0],
            data=f"question {number}",
            review=True,
            max_attempts=2,
        )
        for number, row in enumerate(rows, 1)
    ]
    manager = TaskManager(
        (),
        [WEAK, STRONG, "examiner"],
        port=0,
        quiet=True,
        policy="adaptive",
        thrift=thrift,
        budget=budget,
        unmatched_after_s=1.0 if budget is not None else None,
    )
    async with ModelServer(rule, models=(WEAK, STRONG)) as server:
        await manager.start(b"", [examiner])
        ticket = str(manager.ticket())
        processes = [
            await asyncio.create_subprocess_exec(
                *worker_command(name, server.url, ticket, types),
                # Standard output is for the figures.
                stdout=asyncio.subprocess.DEVNULL,
            )
            for name in COSTS
        ]
        try:
            began, right = time.perf_counter(), 0
            async for result in manager.submit_many(tasks, batch_size=1, max_waiting=WAITING):
                right += result.success
            took_s = time.perf_counter() - began
        finally:
            await manager.stop()
            for each in processes:
                await each.wait()
    strong_right = int(sum(row[2] for row in rows))
    cost = manager.board.budget.spent
    strong_cost = COSTS[STRONG] * len(rows)
    most = in_flight["most"]
    return Played(len(rows), right, strong_right, cost, strong_cost, most, took_s)


def main() -> int:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--questions", type=int, default=2_000)
    parser.add_argument("--thrift", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=1_000)
    parser.add_argument("--budget", type=float, help="what all questions together may cost")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    playing = play(
        options.questions,
        thrift=options.thrift,
        seed=options.seed,
        budget=options.budget,
    )
    played = asyncio.run(playing)
    if options.json:
        sys.stdout.write(json.dumps(asdict(played)) + "\n")
        return 0
    sys.stdout.write(
        f"{played.questions:,} questions in {played.took_s:.1f} s: "
        f"{played.right:,} right answers, {played.right_ratio:.3f} of always the strong one, "
        f"for {played.cost_ratio:.3f} of its cost\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
