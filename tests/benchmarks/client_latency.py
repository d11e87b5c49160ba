"""How long one no-op task takes by a client in another process, and by the manager's own `submit`.

    python tests/benchmarks/client_latency.py [--samples 2000] [--link nats://127.0.0.1:4222]

Blocks of both alternate in the same run, so that what slows the machine down slows both. The first
percentile is what a busy machine disturbs least. The same for `--many` tasks, submitted and
gathered.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

from muster.agents.bench.figures import percentile
from muster.agents.bench.tasks import NOTHING
from muster.agents.bench.workers import BenchPlan, BenchWorkers
from muster.agents.client.client import Client
from muster.agents.runtime.garbage import collect_garbage_less_often
from muster.messages import Task, TaskResult

BLOCK = 20
WARM_UP = 200


async def time_ones(submit: Callable[[Task], Awaitable[TaskResult]], count: int) -> list[float]:
    """Submit one task after the other; how long each took, in seconds."""
    took_s: list[float] = []
    for number in range(count):
        began = time.perf_counter()
        result = await submit(Task(type=NOTHING, data={"n": number}))
        took_s.append(time.perf_counter() - began)
        assert result.output == number, result
    return took_s


async def time_many(
    gather: Callable[[list[Task]], Awaitable[list[TaskResult]]], count: int
) -> float:
    """Submit many tasks together; how long it took until all results were there, in seconds."""
    tasks = [Task(type=NOTHING, data={"n": number}) for number in range(count)]
    began = time.perf_counter()
    results = await gather(tasks)
    took_s = time.perf_counter() - began
    assert [each.output for each in results] == list(range(count))
    return took_s


async def play_client(ticket: str) -> None:
    """Be the client: measure what each line of stdin asks for."""
    collect_garbage_less_often()
    loop = asyncio.get_running_loop()
    async with Client(ticket) as client:
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            what, count = line.split()
            if what == "one":
                told: object = await time_ones(client.submit, int(count))
            else:
                told = await time_many(client.gather, int(count))
            sys.stdout.write(f"{json.dumps(told)}\n")
            sys.stdout.flush()


async def measure(options: argparse.Namespace) -> None:
    collect_garbage_less_often()
    plan = BenchPlan(workers=2, link=options.link, insecure=options.insecure)
    workers = BenchWorkers(plan)
    await workers.start()
    await workers.wait_until_joined()
    manager = workers.manager
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        __file__,
        "--client",
        str(manager.ticket()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    async def ask_client(what: str, count: int) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{what} {count}\n".encode())
        return (await process.stdout.readline()).decode()

    async def gather(tasks: list[Task]) -> list[TaskResult]:
        return [each async for each in manager.submit_many(tasks, in_order=True)]

    try:
        await time_ones(manager.submit, WARM_UP)
        await ask_client("one", WARM_UP)
        own_s: list[float] = []
        client_s: list[float] = []
        for _ in range(max(options.samples // BLOCK, 1)):
            own_s += await time_ones(manager.submit, BLOCK)
            client_s += json.loads(await ask_client("one", BLOCK))
        for percent in (1, 50):
            own, client = (1e6 * percentile(each, percent) for each in (own_s, client_s))
            print(
                f"one task, p{percent}: own submit {own:.0f} us, client {client:.0f} us, "
                f"{client / own:.2f} times as long"
            )
        own_s, client_s = [], []
        for _ in range(options.rounds if options.many else 0):
            own_s.append(await time_many(gather, options.many))
            client_s.append(json.loads(await ask_client("many", options.many)))
        if own_s:
            own, client = (options.many / statistics.median(each) for each in (own_s, client_s))
            print(
                f"{options.many:,} gathered: own {own:,.0f} tasks/s, client {client:,.0f} tasks/s"
            )
    finally:
        process.stdin.close()
        await process.wait()
        await workers.end()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=2_000)
    parser.add_argument("--many", type=int, default=10_000, help="0 for none")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--link", default="ceylon", help="ceylon, or the URL of a NATS server")
    parser.add_argument("--insecure", action="store_true")
    parser.add_argument("--client", help=argparse.SUPPRESS)
    options = parser.parse_args()
    asyncio.run(play_client(options.client) if options.client else measure(options))


if __name__ == "__main__":
    main()
