"""Eight processes work on one file while they are killed at random."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from muster.agents import StateFileTaskManager

pytestmark = [pytest.mark.processes, pytest.mark.slow]

AGENTS = 5
TASKS = 500
HELD_AT_MOST_S = 3.0
KILL_EVERY_S = 0.15
DEADLINE_S = 500
KILLS = 20
FEWEST_KILLS = 5
PROGRAM = Path(__file__).parent / "agent_process.py"


class Crew:
    """Eight agents, of which each start has a name of its own."""

    def __init__(self, name: str, diary: Path) -> None:
        self._arguments = [name, str(diary)]
        self._diary = diary
        self._starts = 0
        self._names: dict[int, str] = {}
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        self._starts += 1
        command = [sys.executable, str(PROGRAM), *self._arguments, f"agent-{self._starts}"]
        process = subprocess.Popen([*command, str(HELD_AT_MOST_S / 3600)])
        self._names[process.pid] = command[-1]
        self.running.append(process)

    def at_work(self) -> list[subprocess.Popen[bytes]]:
        """Those that have taken a task and have not ended; others have hardly begun."""
        if not self._diary.exists():
            return []
        known = {line.split()[-1] for line in self._diary.read_text().splitlines()}
        return [
            process
            for process in self.running
            if process.poll() is None and self._names[process.pid] in known
        ]

    def kill(self, victim: subprocess.Popen[bytes]) -> None:
        victim.kill()
        victim.wait()
        self.running.remove(victim)

    def end(self) -> None:
        for process in self.running:
            process.kill()
            process.wait()


class Reader(threading.Thread):
    """Reads the file all the time, as any other program may."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file
        self.is_over = threading.Event()
        self.readings = 0
        self.fault: Exception | None = None

    def run(self) -> None:
        while not self.is_over.wait(0.002):
            try:
                document = json.loads(self._file.read_bytes())
                assert len(document["tasks"]) == TASKS
            except Exception as fault:  # noqa: BLE001 - told by the test
                self.fault = fault
                return
            self.readings += 1


def plant_tasks(manager: StateFileTaskManager, file: Path) -> None:
    """Put many tasks into an empty file at once."""
    if file.suffix == ".db":
        for number in range(TASKS):
            manager.create_task("pluck", {"row": number})
        return
    document = json.loads(file.read_bytes())
    fields = {"type": "pluck", "status": "pending", "parent_id": None}
    document["tasks"] = {f"pluck_{n:08x}": {**fields, "data": {"row": n}} for n in range(TASKS)}
    file.write_text(json.dumps(document))


@pytest.fixture
def crew(prefix: str, file: str, tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(f"{prefix}{tmp_path}/{file}", tmp_path / "diary")
    yield crew
    crew.end()


@pytest.mark.parametrize(("prefix", "file"), [("", "tea.json"), ("sqlite:///", "tea.db")])
def test_every_task_is_done_once_by_an_agent_that_held_it(
    prefix: str, file: str, crew: Crew, tmp_path: Path
) -> None:
    chance = random.Random(4)
    path = tmp_path / file
    manager = StateFileTaskManager(f"{prefix}{path}", survives_power_loss=False)
    plant_tasks(manager, path)
    reader = Reader(path)
    if path.suffix == ".json":
        reader.start()
    for _ in range(AGENTS):
        crew.start()
    kills, deadline = 0, time.monotonic() + DEADLINE_S
    while any(process.poll() is None for process in crew.running):
        assert time.monotonic() < deadline, manager.get_status_summary()
        time.sleep(KILL_EVERY_S * chance.uniform(0.2, 1.8))
        at_work = crew.at_work() if kills < KILLS else []
        if at_work and manager.get_status_summary()["status_counts"]["pending"]:
            crew.kill(chance.choice(at_work))
            crew.start()
            kills += 1
    reader.is_over.set()
    if reader.is_alive():
        reader.join()
    assert reader.fault is None
    assert [process.returncode for process in crew.running] == [0] * AGENTS
    check_evidence(manager, path, (tmp_path / "diary").read_text().splitlines())
    manager.close()
    print(f"{kills} kills, {reader.readings} readings")
    if path.suffix == ".json":
        assert kills >= FEWEST_KILLS
        assert reader.readings > 50


def check_evidence(manager: StateFileTaskManager, file: Path, diary: list[str]) -> None:
    assert manager.get_status_summary()["status_counts"]["completed"] == TASKS
    notes = [line.split() for line in diary]
    took = {(task_id, agent) for what, task_id, agent in notes if what == "took"}
    completed = Counter(task_id for what, task_id, _ in notes if what == "completed")
    completed_by = {task_id: agent for what, task_id, agent in notes if what == "completed"}
    assert set(completed.values()) == {1}
    # Of some a kill came between the completing and the note of it.
    assert len(completed) > TASKS * 0.9
    tasks: dict[str, Any]
    if file.suffix == ".json":
        tasks = json.loads(file.read_bytes())["tasks"]
    else:
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            ids = [task_id for (task_id,) in connection.execute("SELECT id FROM task")]
        tasks = {task_id: manager.get_task(task_id) for task_id in ids}
    assert len(tasks) == TASKS
    for task_id, task in tasks.items():
        agent = task["result_data"]["by"]
        assert (task_id, agent) in took
        assert completed_by.get(task_id, agent) == agent
