"""Guests that are given only a peer id and a port find their admin's workspace, or say why not."""

from __future__ import annotations

import asyncio
import inspect
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ceylon import DEFAULT_WORKSPACE_ID, Admin, BaseAgent, PeerMode
from muster.agents import TaskManager, WorkerAgent
from muster.agents.runtime.ports import DEFAULT_PORT, DEFAULT_WORKSPACE, claim_port
from muster.agents.transport.admin_address import AdminAddress, agree_with_admin
from muster.agents.transport.network_file import FILE_NAME, NetworkFile
from muster.messages import InvalidInput, RunEnded, Task

pytestmark = pytest.mark.ceylon

DEADLINE_S = 60
PEER = "12D3KooWBnqAuRYRoG7Zb9u1yRCyHWKFGUZx2hcRGC3gNHxDYeHj"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A plain admin writes a file where it stands.
    monkeypatch.chdir(tmp_path)


def run(story: Callable[[], Any]) -> Any:
    async def within_the_deadline() -> Any:
        return await asyncio.wait_for(story(), DEADLINE_S)

    return asyncio.run(within_the_deadline())


def guests_of(
    admin_peer: str, port: int, **options: Any
) -> tuple[TaskManager, tuple[WorkerAgent, ...]]:
    tasks = [Task(id=number, description="carry", difficulty=3) for number in (1, 2, 3, 4)]
    options = {"admin_peer": admin_peer, "port": port, "time_scale": 0.02, **options}
    manager = TaskManager(tasks, expected_workers=2, quiet=True, **options)
    return manager, tuple(WorkerAgent(name, 5, **options) for name in ("Ada", "Ben"))


def plain_admin(**options: Any) -> Admin:
    return Admin("hub", port=claim_port(), **options)


# ---------------------------------------------------------------------------- one default


def default_of(agent: type, argument: str = "workspace_id") -> object:
    return inspect.signature(agent).parameters[argument].default


@pytest.mark.parametrize("agent", [TaskManager, WorkerAgent])
def test_who_names_no_workspace_is_where_ceylons_own_agents_are(agent: type) -> None:
    assert default_of(agent) == default_of(BaseAgent) == default_of(Admin) == DEFAULT_WORKSPACE


@pytest.mark.parametrize("is_handed", [True, False], ids=["handed to the host", "by themselves"])
@pytest.mark.parametrize("workspace", [None, DEFAULT_WORKSPACE_ID, "estate"])
def test_guests_that_know_peer_and_port_join_a_host_of_this_process(
    workspace: str | None, is_handed: bool
) -> None:
    async def story() -> Any:
        hub = plain_admin(**({} if workspace is None else {"workspace_id": workspace}))
        manager, workers = guests_of(hub.details().id, hub.port or 0)
        brought = [manager, *workers] if is_handed else []
        hosting = asyncio.ensure_future(hub.start_agent(b"", brought))
        if is_handed:
            await manager.finished()
        else:
            await asyncio.gather(manager.start_agent(), *(each.start_agent() for each in workers))
        await hub.stop()
        await hosting
        return manager.report()

    assert run(story).success_rate == 1.0


HOST = """
import asyncio, sys
from ceylon import Admin
port, *workspace = sys.argv[1:]
hub = Admin("hub", port=int(port), **({"workspace_id": workspace[0]} if workspace else {}))
print("peer", hub.details().id, flush=True)
asyncio.run(hub.start_agent(b""))
"""


@pytest.fixture
def start_host() -> Iterator[Callable[..., str]]:
    """Starts a plain host in another process; returns its peer id."""
    started: list[subprocess.Popen[str]] = []

    def start(folder: Path, port: int, *workspace: str) -> str:
        folder.mkdir(exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-c", HOST, str(port), *workspace],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        return next(line.split()[1] for line in process.stdout if line.startswith("peer "))

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.processes
@pytest.mark.parametrize(
    ("folder", "workspace"),
    [("elsewhere", ()), (".", ("estate",))],
    ids=["that names no workspace", "that left its file here"],
)
def test_guests_that_know_peer_and_port_join_a_host_of_another_process(
    folder: str, workspace: tuple[str, ...], tmp_path: Path, start_host: Callable[..., str]
) -> None:
    port = claim_port()
    manager, workers = guests_of(start_host(tmp_path / folder, port, *workspace), port)

    async def story() -> None:
        await asyncio.gather(manager.start_agent(), *(each.start_agent() for each in workers))

    run(story)
    assert manager.report().success_rate == 1.0


# ---------------------------------------------------------------------------- in another one


def admins() -> dict[str, Callable[[], Any]]:
    return {
        "a plain admin": lambda: plain_admin(workspace_id="north"),
        "a plain base agent": lambda: BaseAgent(
            "hub", PeerMode.ADMIN, port=claim_port(), workspace_id="north"
        ),
        "a manager": lambda: TaskManager(workspace_id="north", port=0),
    }


@pytest.mark.parametrize("who", ["manager", "worker"])
@pytest.mark.parametrize("admin", admins())
def test_who_chose_another_workspace_than_the_admins_is_told_both(admin: str, who: str) -> None:
    hub = admins()[admin]()
    manager, workers = guests_of(hub.details().id, 9, workspace_id="south")
    agent = manager if who == "manager" else workers[0]
    with pytest.raises(InvalidInput, match=r"workspace 'south'.*workspace 'north'"):
        run(agent.start_agent)


def test_a_host_that_brings_guests_of_another_workspace_is_told_both(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        hub = plain_admin(workspace_id="north")
        manager, workers = guests_of(hub.details().id, hub.port or 0, workspace_id="south")
        hosting = asyncio.ensure_future(hub.start_agent(b"", [manager, *workers]))
        with pytest.raises(RunEnded, match=r"4 of 4 tasks unsettled: .*'south'.*'north'"):
            await manager.finished()
        await hub.stop()
        await hosting

    run(story)
    assert "workspace 'south', but its admin is in workspace 'north'" in caplog.text


def test_a_worker_of_a_manager_in_another_workspace_says_so_and_joins_that(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> Any:
        manager = TaskManager(
            [Task(id=1, description="carry")], workspace_id="estate", port=0, quiet=True
        )
        worker = WorkerAgent("Ada", 5, admin_peer=manager.details().id, time_scale=0.02)
        await asyncio.gather(worker.start_agent(), manager.start_agent())
        return manager.report()

    assert run(story).success_rate == 1.0
    (told,) = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert "'Ada' should join workspace 'default', but its admin is in workspace 'estate'" in told
    assert "workspace_id='estate'" in told


@pytest.mark.parametrize(
    ("asked", "known", "joined"),
    [
        (AdminAddress("default", DEFAULT_PORT), AdminAddress("estate", 9001), ("estate", 9001)),
        (
            AdminAddress(DEFAULT_WORKSPACE_ID, 9000),
            AdminAddress("default", 9001),
            ("default", 9000),
        ),
        (
            AdminAddress("default", DEFAULT_PORT),
            AdminAddress("default", 0),
            ("default", DEFAULT_PORT),
        ),
        (AdminAddress("estate", 9001), AdminAddress("estate", 9001), ("estate", 9001)),
        (AdminAddress("mill", 9001), AdminAddress("estate", 9001), None),
        (AdminAddress("mill", 9001), AdminAddress("default", 9001), None),
    ],
)
def test_what_nobody_has_chosen_is_the_admins_to_say(
    asked: AdminAddress, known: AdminAddress, joined: tuple[str, int] | None
) -> None:
    if joined is None:
        with pytest.raises(InvalidInput, match=f"{asked.workspace_id}.*{known.workspace_id}"):
            agree_with_admin("Ada", asked, known)
    else:
        assert agree_with_admin("Ada", asked, known) == joined


@pytest.mark.parametrize(
    "file",
    [
        NetworkFile("estate", "12D3KooWanother", "10.0.0.1", "9001"),
        NetworkFile(None, PEER, None, "9001"),
    ],
    ids=["of another admin", "that names no workspace"],
)
def test_a_network_file_counts_only_if_that_admin_wrote_it(
    file: NetworkFile, tmp_path: Path
) -> None:
    file.write(tmp_path / FILE_NAME)
    worker = WorkerAgent("Ada", 5, admin_peer=PEER)
    worker.go_to_admin()
    assert (worker.workspace_id, worker.port) == (DEFAULT_WORKSPACE, DEFAULT_PORT)
