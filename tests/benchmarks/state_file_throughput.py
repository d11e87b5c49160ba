"""How many operations a second a state file takes, by how many tasks it holds.

An operation is a call that changes the file: `get_next_task` or `complete_task`, in turn. Beside
the manager stands what one would write without thinking: parse the whole file, change it, and
encode all of it anew, with the same lock and the same way to the disk. `--fsync` waits for the disk
at each change, as managers do by default; without it, what the disk costs is left out.

Run from anywhere: python tests/benchmarks/state_file_throughput.py [--fsync] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock
from muster.agents import StateFileTaskManager
from muster.agents.state_file.json_values import to_timestamp

SIZES = (100, 1_000, 10_000)
SECONDS = 3.0
ROUNDS = 3
PROCESSES = 4

WORK = """
import sys
from muster.agents import StateFileTaskManager
from muster.agents.state_file.json_values import to_timestamp
name, agent, fsync = sys.argv[1:]
manager = StateFileTaskManager(name, lock_timeout=60, survives_power_loss=fsync == "True")
sys.stdin.readline()
while task := manager.get_next_task(agent):
    manager.complete_task(task["id"], agent)
"""


def plant(folder: Path, count: int) -> Path:
    """Write a state file of so many pending tasks."""
    file = folder / "tasks.json"
    moment = to_timestamp(time.time())
    task: dict[str, Any] = {
        "type": "brew",
        "status": "pending",
        "parent_id": None,
        "locked_by": None,
        "locked_at": None,
        "created_at": moment,
        "completed_at": None,
        "data": {"file": "data.csv", "params": {"threshold": 0.8}},
    }
    document = {
        "workflow_type": "generic",
        "metadata": {"initialized_at": moment, "last_updated": moment},
        "tasks": {f"brew_{number:08x}": task for number in range(count)},
    }
    file.write_text(json.dumps(document, indent=2))
    return file


class Rewriting:
    """Reads, decodes, encodes and writes everything at each change."""

    def __init__(self, file: Path, *, fsync: bool) -> None:
        self._file = file
        self._fsync = fsync
        self._lock = FileLock(f"{file}.lock")

    def change(self, alter: Callable[[dict[str, Any]], None]) -> None:
        with self._lock:
            document = json.loads(self._file.read_bytes())
            alter(document["tasks"])
            next_file = self._file.with_suffix(".new")
            with next_file.open("w") as out:
                json.dump(document, out, indent=2)
                out.flush()
                if self._fsync:
                    os.fsync(out.fileno())
            next_file.replace(self._file)

    def take_and_complete(self) -> None:
        taken: list[str] = []

        def take(tasks: dict[str, Any]) -> None:
            name = next(name for name, task in tasks.items() if task["status"] == "pending")
            tasks[name].update(status="in_progress", locked_by="ada")
            taken.append(name)

        self.change(take)
        self.change(lambda tasks: tasks[taken[0]].update(status="completed", locked_by=None))


def rate(pair_of_operations: Callable[[], object], most: int) -> float:
    """Operations a second, for some seconds or until so many pairs are done."""
    began, pairs = time.perf_counter(), 0
    while pairs < most and time.perf_counter() - began < SECONDS:
        pair_of_operations()
        pairs += 1
    return 2 * pairs / (time.perf_counter() - began)


def measure_manager(name: str | Path, most: int, *, fsync: bool) -> float:
    """One process, which has the file for itself."""
    manager = StateFileTaskManager(name, survives_power_loss=fsync)

    def take_and_complete() -> None:
        task = manager.get_next_task("ada")
        assert task is not None
        manager.complete_task(str(task["id"]), "ada")

    measured = rate(take_and_complete, most)
    manager.close()
    return measured


def measure_processes(file: Path, count: int, *, fsync: bool) -> float:
    """Several processes, of which each sees the file changed by the others."""
    agents = [
        subprocess.Popen(
            [sys.executable, "-c", WORK, str(file), f"agent-{number}", str(fsync)],
            stdin=subprocess.PIPE,
        )
        for number in range(PROCESSES)
    ]
    manager = StateFileTaskManager(file)
    time.sleep(2)
    before, began = done(manager), time.perf_counter()
    for agent in agents:
        send(agent)
    while done(manager) < count and time.perf_counter() - began < 2 * SECONDS:
        time.sleep(0.05)
    spent = time.perf_counter() - began
    for agent in agents:
        agent.kill()
        agent.communicate()
    return 2 * (done(manager) - before) / spent


def send(agent: subprocess.Popen[bytes]) -> None:
    """Let an agent begin."""
    assert agent.stdin is not None
    agent.stdin.write(b"go\n")
    agent.stdin.flush()


def done(manager: StateFileTaskManager) -> int:
    """How many tasks are completed."""
    return manager.get_status_summary()["status_counts"]["completed"]


def plant_sqlite(folder: Path, count: int) -> str:
    """Make a SQLite file of so many pending tasks."""
    name = f"sqlite:///{folder}/tasks.db"
    manager = StateFileTaskManager(name, survives_power_loss=False)
    for _ in range(count):
        manager.create_task("brew", {"file": "data.csv", "params": {"threshold": 0.8}})
    manager.close()
    return name


def main() -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--fsync", action="store_true", help="wait for the disk at each change")
    parser.add_argument("--folder", help="where the files are, such as a folder in memory")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    fsync: bool = arguments.fsync
    measured: dict[str, dict[str, int]] = {}
    for size in SIZES:
        found: dict[str, float] = {}
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
                rewriting = Rewriting(plant(Path(folder), size), fsync=fsync)
                naive = rate(rewriting.take_and_complete, size)
                alone = measure_manager(plant(Path(folder), size), size, fsync=fsync)
                shared = measure_processes(plant(Path(folder), size), size, fsync=fsync)
                sqlite = measure_manager(plant_sqlite(Path(folder), size), size, fsync=fsync)
            for name, value in (
                ("rewriting everything", naive),
                ("JSON, one process", alone),
                (f"JSON, {PROCESSES} processes together", shared),
                ("SQLite, one process", sqlite),
            ):
                found[name] = max(found.get(name, 0.0), value)
        measured[str(size)] = {name: round(value) for name, value in found.items()}
    if arguments.json:
        sys.stdout.write(json.dumps({"fsync": fsync, "operations_per_second": measured}) + "\n")
        return
    for size, found_now in measured.items():
        for name, value in found_now.items():
            sys.stdout.write(f"{int(size):>7,} tasks  {name:<32} {value:>7,} operations/s\n")


if __name__ == "__main__":
    main()
