"""Plain Ceylon agents join a manager's workspace, whatever lies in the current directory."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ceylon import Admin, AgentDetail, BaseAgent, PeerMode, Worker, on, on_run
from muster.agents import TaskManager, WorkerAgent
from muster.agents.runtime.ports import AwaitedIn, claim_port
from muster.agents.transport.network_file import FILE_NAME, NetworkFile, read_network_file
from muster.messages import InvalidInput, Task

pytestmark = pytest.mark.ceylon

DEADLINE_S = 180
OLD_FILE = NetworkFile(
    "bygone", "12D3KooWBnqAuRYRoG7Zb9u1yRCyHWKFGUZx2hcRGC3gNHxDYeHj", "10.0.0.1", "7"
)


@dataclass
class Greeting:
    """What the plain agents pickle."""

    sender: str


class Greeter(Worker):
    """A plain agent that greets, and hears greetings by a declared handler."""

    workspace = ""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.heard: set[str] = set()

    @on(Greeting)
    async def hear(self, data: Greeting, time: int, agent: AgentDetail) -> None:
        del time, agent
        self.heard.add(data.sender)

    @on_run()
    async def greet(self, inputs: object) -> None:
        del inputs
        while True:
            await self.broadcast_message(Greeting(self.name))
            await asyncio.sleep(0.05)

    async def on_agent_connected(self, topic: str, agent: AgentDetail) -> None:
        self.workspace = topic
        await super().on_agent_connected(topic, agent)


@pytest.fixture(params=["clean folder", "folder with an old file"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    if request.param != "clean folder":
        OLD_FILE.write(tmp_path / FILE_NAME)
    return tmp_path


def content_of(folder: Path) -> dict[str, str]:
    return {each.name: each.read_text(encoding="utf-8") for each in folder.iterdir()}


async def run_until_all_are_heard(
    manager: TaskManager, brought: list[Any], greeters: list[Greeter]
) -> None:
    names = {greeter.name for greeter in greeters}
    running = asyncio.ensure_future(manager.start(b"", brought))
    while not (
        running.done()
        and not manager.board.unsettled
        and all(greeter.heard >= names - {greeter.name} for greeter in greeters)
    ):
        await asyncio.sleep(0.05)
    await manager.stop()


def play(story: Any) -> Any:
    return asyncio.run(asyncio.wait_for(story, DEADLINE_S))


def own_address() -> str:
    """An address of this machine besides loopback, if it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: it only chooses the interface.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        return str(probe.getsockname()[0])


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"role": "greeter", "admin_peer": OLD_FILE.admin_peer},
        {"port": 7, "admin_ip": "10.0.0.1", "workspace_id": "elsewhere"},
        {"admin_ip": "no.address", "buffer_size": 64},
    ],
    ids=["none", "a peer id", "another place", "a host that is no address"],
)
def test_plain_agents_that_a_manager_starts_join_it(
    folder: Path, arguments: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    before = content_of(folder)

    async def story() -> None:
        task = Task(id=1, description="carry", difficulty=3)
        manager = TaskManager(
            [task], expected_workers=1, port=0, quiet=True, workspace_id="mill", time_scale=0.02
        )
        plain = [Greeter(name, **arguments) for name in ("Pip", "Quin")]
        ids = [each.details().id for each in plain]
        worker = WorkerAgent("Ada", 5, time_scale=0.02)
        await run_until_all_are_heard(manager, [plain[0], worker, plain[1]], plain)
        assert [each.details().id for each in plain] == ids
        assert {each.workspace for each in plain} == {"mill"}
        assert {each.port for each in plain} == {manager.port}
        assert manager.report().success_rate == 1.0

    play(story())
    assert content_of(folder) == before
    assert "Traceback" not in capfd.readouterr().err


def test_they_are_reached_by_the_managers_own_address(folder: Path) -> None:
    host = own_address()

    async def story() -> None:
        manager = TaskManager(port=0, quiet=True, host=host)
        plain = [Greeter("Pip"), Greeter("Quin")]
        await run_until_all_are_heard(manager, list(plain), plain)
        assert {each.admin_ip for each in plain} == {host}

    play(story())


@pytest.mark.slow
def test_a_worker_brings_plain_agents_to_its_managers_workspace(folder: Path) -> None:
    async def story() -> None:
        manager = TaskManager(port=0, quiet=True)
        worker = WorkerAgent("Ada", 5, admin_peer=manager.details().id)
        plain = [Greeter("Pip"), Greeter("Quin")]
        await manager.start()
        working = asyncio.ensure_future(worker.start_agent(b"", plain))
        while not all(each.heard for each in plain):
            await asyncio.sleep(0.05)
        await worker.stop()
        await working
        await manager.stop()

    play(story())


@pytest.mark.parametrize("folder", ["clean folder"], indirect=True)
def test_one_that_starts_by_itself_joins_with_the_documented_arguments(folder: Path) -> None:
    async def story() -> None:
        manager = TaskManager(port=0, quiet=True, workspace_id="mill")
        here = Greeter("Pip")
        starting = asyncio.ensure_future(manager.start(b"", [here]))
        ticket = manager.ticket()
        program = (
            "import asyncio, pickle\n"
            "from ceylon import Worker\n"
            "class There(Worker):\n"
            "    async def run(self, inputs):\n"
            "        while True:\n"
            "            await self.broadcast_message('hello')\n"
            "            await asyncio.sleep(0.05)\n"
            f"there = There('There', admin_peer={ticket.peer_id!r}, admin_ip={ticket.host!r}, "
            f"port={ticket.port}, workspace_id={ticket.workspace_id!r})\n"
            "asyncio.run(there.start_agent())\n"
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, cwd=folder, stderr=subprocess.DEVNULL
        )
        try:
            await starting
            while "There" not in {each.name for each in await manager.get_connected_agents()}:
                await asyncio.sleep(0.05)
        finally:
            process.kill()
            await process.wait()
        await manager.stop()

    play(story())


# ---------------------------------------------------------------------------- what can't be


async def start(manager: TaskManager, agent: Any) -> None:
    await manager.start_agent(b"", [agent])


@pytest.mark.parametrize("folder", ["clean folder"], indirect=True)
def test_a_plain_admin_is_not_started_in_another_workspace(folder: Path) -> None:
    manager = TaskManager(port=0, quiet=True)
    with pytest.raises(InvalidInput, match="'hub' is an admin"):
        play(start(manager, Admin("hub", port=claim_port())))


def test_one_with_a_config_path_of_its_own_and_no_address_is_told_what_it_needs(
    folder: Path,
) -> None:
    plain = BaseAgent("Pip", PeerMode.CLIENT, config_path=str(folder / "absent"))
    with pytest.raises(InvalidInput, match=r"could not start .* config_path .* admin_ip"):
        play(start(TaskManager(port=0, quiet=True), plain))


@pytest.mark.parametrize("host", ["", "localhost", "::1"])
def test_a_host_that_is_no_address_is_refused_before_ceylon_panics(host: str) -> None:
    with pytest.raises(InvalidInput, match="must be an IPv4 address"):
        play(start(TaskManager(port=0, quiet=True, host=host), WorkerAgent("Ada", 5)))


# ---------------------------------------------------------------------------- its parts


async def test_only_the_steps_of_what_is_awaited_stand_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.chdir(tmp_path)
    seen: list[str] = []

    async def look(steps: int) -> int:
        for _ in range(steps):
            seen.append(Path.cwd().name)
            await asyncio.sleep(0)
            assert Path.cwd() == inside
        return steps

    async def look_meanwhile() -> None:
        for _ in range(5):
            assert Path.cwd() == tmp_path
            await asyncio.sleep(0)

    meanwhile = asyncio.ensure_future(look_meanwhile())
    assert await AwaitedIn(inside, look(3)) == 3
    await meanwhile
    assert seen == ["inside"] * 3


@pytest.mark.parametrize("fault", [ValueError, asyncio.CancelledError])
async def test_what_is_awaited_in_a_folder_may_fail_or_be_cancelled(
    fault: type[BaseException], tmp_path: Path
) -> None:
    is_over = asyncio.Event()
    before = Path.cwd()

    async def wait() -> None:
        try:
            if fault is ValueError:
                raise ValueError
            await asyncio.Event().wait()
        finally:
            is_over.set()

    async def stand() -> None:
        await AwaitedIn(tmp_path, wait())

    standing = asyncio.ensure_future(stand())
    await asyncio.sleep(0)
    if fault is asyncio.CancelledError:
        standing.cancel()
    with pytest.raises(fault):
        await standing
    assert is_over.is_set()
    assert Path.cwd() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", NetworkFile()),
        ("WORKSPACE_ID=a=b\nWORKSPACE_PORT=9\nnonsense\n", NetworkFile("a=b", port="9")),
        ("WORKSPACE_IP=\nWORKSPACE_PEER=p", NetworkFile(None, "p", "")),
    ],
)
def test_a_network_file_is_read_as_ceylon_reads_it(
    text: str, said: NetworkFile, tmp_path: Path
) -> None:
    (tmp_path / FILE_NAME).write_text(text, encoding="utf-8")
    assert read_network_file(tmp_path / FILE_NAME) == said


@pytest.mark.parametrize("make", [None, Path.mkdir, lambda path: path.write_bytes(b"\xff\xfe")])
def test_what_is_no_network_file_says_nothing(
    make: Callable[[Path], object] | None, tmp_path: Path
) -> None:
    if make is not None:
        make(tmp_path / FILE_NAME)
    assert read_network_file(tmp_path / FILE_NAME) is None
