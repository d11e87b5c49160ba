"""Counts through how many files one submitted task goes, and how often it moves between them.

    python tests/benchmarks/way_of_a_task.py [--json] [--moves]

A manager and a worker run in one process and virtual time, without a network. Several tasks go
first, so that what is done once is not counted. Then one task is submitted, and each call from one
of the project's files into another is counted as a move, from `submit` until its result has been
awaited. Generated and foreign code (the standard library, pydantic) is not counted, nor is
agents/simulation, which stands for the event loop and the network.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import muster.agents
from muster.agents import TaskManager, WorkerAgent
from muster.agents.kernel.security.client_seal import ClientSeal
from muster.agents.kernel.security.manager_seal import ManagerSeal
from muster.agents.kernel.security.workspace_secret import WorkspaceSecret
from muster.agents.security.sealing import fresh_identity
from muster.agents.simulation.memory_network import MemoryNetwork
from muster.agents.simulation.virtual_time import run_in_virtual_time
from muster.messages import Task

ROOTS = tuple(
    str(Path(root).resolve()) for root in (*muster.agents.__path__, *muster.messages.__path__)
)
WARM_UP_TASKS = 50


class Way:
    """The moves between files while it is entered."""

    def __init__(self) -> None:
        self.moves: Counter[tuple[str, str]] = Counter()

    def __enter__(self) -> Way:
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    @property
    def files(self) -> set[str]:
        return {file for move in self.moves for file in move}

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        callee = self._ours(frame)
        caller = frame.f_back
        while caller is not None and not self._ours(caller):
            caller = caller.f_back
        if callee and caller is not None and self._ours(caller) != callee:
            self.moves[self._ours(caller), callee] += 1

    def _ours(self, frame: FrameType) -> str:
        for root in ROOTS:
            if frame.f_code.co_filename.startswith(root):
                file = frame.f_code.co_filename.removeprefix(str(Path(root).parent) + "/")
                return "" if file.startswith("agents/simulation/") else file
        return ""


def walk(*, is_sealed: bool, **options: Any) -> Way:
    """Follow one task, once the manager and its worker are used to work."""
    network, way = MemoryNetwork(), Way()
    secret = WorkspaceSecret(bytes(range(32)))

    async def story() -> None:
        manager = TaskManager(quiet=True, **options)
        worker = WorkerAgent("Ada", 9)
        worker.task("double")(_double)
        _start_over(network, manager, ManagerSeal, secret if is_sealed else None)
        _start_over(network, worker, ClientSeal, secret if is_sealed else None)
        await manager.start()
        await worker.start()
        await asyncio.sleep(1.0)
        for number in range(WARM_UP_TASKS):
            await manager.submit(_task(number))
        with way:
            result = await manager.submit(_task(WARM_UP_TASKS))
        assert result.output == 2 * WARM_UP_TASKS
        await worker.stop()
        await manager.stop()

    run_in_virtual_time(story())
    return way


def _start_over(
    network: MemoryNetwork, agent: Any, seal: type[Any], secret: WorkspaceSecret | None
) -> None:
    """Have an agent's `start` use a memory network in place of Ceylon."""

    async def start_agent(*_: Any) -> None:
        await agent.serve_over(
            network.join(agent.name, agent.receive),
            seal=None if secret is None else seal(secret, "way", fresh_identity()),
        )

    agent.start_agent = start_agent


def _double(task: Task) -> Any:
    return 2 * task.data


def _task(number: int) -> Task:
    return Task(id=number + 1, description="double", type="double", data=number)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--moves", action="store_true", help="list the moves, most frequent first")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ways = {
            "bare": walk(is_sealed=False),
            "sealed and stored": walk(is_sealed=True, store=Path(folder, "run.db")),
        }
    figures = {
        name: {"files": len(way.files), "moves": way.moves.total()} for name, way in ways.items()
    }
    if chosen.json:
        print(json.dumps(figures))
        return
    for name, way in ways.items():
        print(f"{name}: {len(way.files)} files, {way.moves.total()} moves")
        if chosen.moves:
            for (caller, callee), count in way.moves.most_common():
                print(f"  {count:3} {caller} -> {callee}")


if __name__ == "__main__":
    main()
