"""Every kind of store."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from muster.agents.kernel.board.rows import Rows, TaskRow
from muster.agents.store import file_lock as store_file_lock
from muster.agents.store.memory import MemoryStore, SharedRows
from muster.agents.store.protocol import Store
from muster.agents.store.sqlite import SqliteStore, read_store
from muster.messages import TaskId, TaskStatus

from ..nats_server import NatsServer


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who find a store held wait for it no longer than they must."""
    monkeypatch.setattr(store_file_lock, "_TIMEOUT_S", 0.05)


@dataclass
class Place:
    """Where rows are kept: opened by one store after the other."""

    make: Callable[[], Store]
    read: Callable[[], Rows]
    opened: list[Store] = field(default_factory=list)

    def open(self) -> Store:
        self.opened.append(self.make())
        return self.opened[-1]


def in_memory(folder: Path) -> Place:
    del folder
    memory = SharedRows()
    return Place(lambda: MemoryStore(memory), memory.read)


def in_sqlite(folder: Path) -> Place:
    path = folder / "run.db"
    return Place(lambda: SqliteStore(path), lambda: read_store(path))


def in_sqlite_for_power_loss(folder: Path) -> Place:
    path = folder / "run.db"
    return Place(lambda: SqliteStore(path, survives_power_loss=True), lambda: read_store(path))


_SERVERS: list[NatsServer] = []
"""The server of this process, once a test with the marker needs it."""


@pytest.fixture(autouse=True)
def _nats_server(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("nats"):
        _SERVERS[:] = [request.getfixturevalue("nats_server")]


def in_jet_stream(folder: Path) -> Place:
    del folder
    from muster.agents.store.jet_stream import JetStreamStore, read_stream

    url = f"{_SERVERS[0].url}/test-{secrets.token_hex(8)}"
    return Place(lambda: JetStreamStore(url), lambda: read_stream(url)[0])


KINDS = [
    pytest.param(in_memory, id="in_memory"),
    pytest.param(in_sqlite, id="in_sqlite"),
    pytest.param(in_sqlite_for_power_loss, id="for_power_loss", marks=pytest.mark.slow),
    pytest.param(in_jet_stream, id="in_jet_stream", marks=pytest.mark.nats),
]


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    made: Place = request.param(tmp_path)
    yield made
    for store in made.opened:
        store.close()


def task_row(
    task_id: TaskId,
    sequence: int,
    state: bytes = b"state",
    *,
    definition: bytes | None = b"definition",
    status: TaskStatus = TaskStatus.PENDING,
) -> TaskRow:
    return TaskRow(task_id, sequence, status, definition, state)
