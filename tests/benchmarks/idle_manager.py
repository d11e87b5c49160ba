"""What a manager costs that has nothing to do: processor time with idle workers at it.

    python tests/benchmarks/idle_manager.py [--workers 8] [--seconds 20] [--json]

Beside it stands a plain Ceylon admin with as many plain clients, measured in the same way: what it
costs is what any agent costs here. Each agent has a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from muster.agents.bench.workers import BenchPlan, BenchWorkers
from muster.agents.runtime.ports import LOOPBACK, claim_port, standing_in
from muster.agents.transport.ceylon_api import AgentDetail, BaseAgent, PeerMode
from sigterm import heed_sigterm

WORKSPACE = "idle"
SETTLING_S = 3.0
JOINING_MAY_TAKE_S = 180.0
PLAY = "--play"


async def measure_manager(workers: int, seconds: float) -> float:
    """The share of one processor that an idle manager takes, in percent."""
    crew = BenchWorkers(BenchPlan(workers=workers))
    try:
        await crew.start()
        await crew.wait_until_joined()
        return await _measure_this_process(seconds)
    finally:
        await crew.end()


async def _measure_this_process(seconds: float) -> float:
    await asyncio.sleep(SETTLING_S)
    began, spent = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    return 100 * (time.process_time() - spent) / (time.perf_counter() - began)


class PlainAgent(BaseAgent):
    """An agent as Ceylon has them, which opens nothing that it hears."""

    def __init__(self, name: str, mode: PeerMode, port: int, admin_peer: str, folder: Path) -> None:
        with standing_in(folder):
            super().__init__(
                name,
                mode,
                "plain",
                port=port,
                admin_peer=admin_peer,
                admin_ip=LOOPBACK,
                workspace_id=WORKSPACE,
                config_path=str(folder / "none"),
            )
        self.seen: set[str] = set()

    async def on_message(self, agent: AgentDetail, data: bytes, time: int) -> None:
        del agent, data, time

    async def on_agent_connected(self, topic: str, agent: AgentDetail) -> None:
        del topic
        self.seen.add(agent.id)

    async def run(self, inputs: bytes) -> None:
        del inputs
        await asyncio.Event().wait()


async def play_admin(workers: int, seconds: float, folder: Path) -> None:
    """Be the plain admin: start the clients, and print what it cost to have them."""
    port = claim_port()
    admin = PlainAgent("admin", PeerMode.ADMIN, port, "", folder)
    running = asyncio.ensure_future(admin.start_agent(b"", []))
    here = [sys.executable, __file__, PLAY]
    clients = [
        await asyncio.create_subprocess_exec(
            *here,
            json.dumps({"name": f"client{number}", "port": port, "peer": admin.details().id}),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        for number in range(workers)
    ]
    try:
        deadline = time.monotonic() + JOINING_MAY_TAKE_S
        while len(admin.seen) < workers:
            if time.monotonic() > deadline:
                raise SystemExit(f"{len(admin.seen)} of {workers} plain clients came")
            await asyncio.sleep(0.1)
        percent = await _measure_this_process(seconds)
        sys.stdout.write(f"\n{json.dumps(percent)}\n")
        sys.stdout.flush()
    finally:
        for client in clients:
            with contextlib.suppress(ProcessLookupError):
                client.kill()
            await client.wait()
        running.cancel()


async def play_client(name: str, port: int, peer: str, folder: Path) -> None:
    """Be a plain client, until the one who started it ends and its stdin with it."""
    client = PlainAgent(name, PeerMode.CLIENT, port, peer, folder)
    running = asyncio.ensure_future(client.start_agent(b"", []))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    running.cancel()


def measure_plain_admin(workers: int, seconds: float) -> float:
    """The share of one processor that an idle plain Ceylon admin takes, in percent."""
    done = subprocess.run(
        [
            *(sys.executable, __file__, PLAY),
            json.dumps({"workers": workers, "seconds": seconds}),
        ],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=JOINING_MAY_TAKE_S + SETTLING_S + seconds + 30,
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure, and print what came out."""
    heed_sigterm()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=8, help="how many idle workers there are")
    parser.add_argument("--seconds", type=float, default=20.0, help="for how long it is watched")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(PLAY, type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.play is not None:
        with tempfile.TemporaryDirectory() as folder:
            play = play_client if "name" in arguments.play else play_admin
            asyncio.run(play(**arguments.play, folder=Path(folder)))
        return
    manager = asyncio.run(measure_manager(arguments.workers, arguments.seconds))
    plain = measure_plain_admin(arguments.workers, arguments.seconds)
    if arguments.json:
        measured = {
            "workers": arguments.workers,
            "seconds": arguments.seconds,
            "manager_percent_of_a_core": round(manager, 2),
            "plain_ceylon_admin_percent_of_a_core": round(plain, 2),
        }
        sys.stdout.write(json.dumps(measured) + "\n")
        return
    sys.stdout.write(
        f"{manager:.2f} % of a core for the manager with {arguments.workers} idle workers\n"
        f"{plain:.2f} % of a core for a plain Ceylon admin with as many plain clients\n"
    )


if __name__ == "__main__":
    main()
