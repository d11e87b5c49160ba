"""Where there is no Ceylon, or it is left out, all works that needs no workspace of it."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from muster.agents.command import ceylon_need
from muster.agents.transport import ceylon_api, without_ceylon
from muster.agents.transport.ceylon_platform import Platform, why_unsupported
from packaging.requirements import Requirement

DEADLINE_S = 120

NOT_INSTALLED = """
import sys

class NoCeylon:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "ceylon":
            raise ModuleNotFoundError("No module named 'ceylon'", name="ceylon")

sys.meta_path.insert(0, NoCeylon())
"""

MEMORY_RUN = """
import asyncio
from muster.agents import *
from muster.messages import CeylonUnusable, Task

class Manager(TaskManager):
    @on_connect("*")
    async def greet(self, topic, agent): ...

worker = WorkerAgent("Ada", 5)

@worker.task("double")
def double(task):
    return 2 * task.data

manager = Manager([Task(task_id=1, type="double", data=4)], 1, quiet=True)
report = asyncio.run(rehearse(manager, [worker]))
assert report.tasks[0].output == 8, report.tasks[0]
assert LocalTaskManager and Muster and issubclass(Manager, BaseAgent)

for needs_it in (
    lambda: TaskManager().ticket(),
    lambda: TaskManager().details(),
    lambda: asyncio.run(TaskManager(quiet=True).start()),
    lambda: asyncio.run(WorkerAgent("Ada", 5, admin_peer="12D3Ko").start()),
    lambda: BaseAgent("Ada", PeerMode.CLIENT),
):
    try:
        needs_it()
    except CeylonUnusable as fault:
        assert WHY in str(fault), fault
    else:
        raise AssertionError("it did not need Ceylon")
assert "ceylon" not in sys.modules
"""

LEFT_OUT = """
import sys
from muster.agents.runtime.ceylon_choice import leave_ceylon_out
leave_ceylon_out()
"""

COMMAND = """
from muster.agents.command import main
sys.argv = ["muster", *sys.argv[1:]]
try:
    main()
finally:
    assert "ceylon" not in sys.modules
"""


def run(code: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=DEADLINE_S,
        check=False,
    )


@pytest.mark.parametrize(
    ("before", "why"),
    [
        pytest.param(
            NOT_INSTALLED, "Ceylon can't be loaded: No module named 'ceylon'", id="absent"
        ),
        pytest.param(LEFT_OUT, "Ceylon is left out of this process", id="left out"),
    ],
)
def test_agents_run_over_memory_and_what_needs_ceylon_says_so_when_it_is_used(
    before: str, why: str, tmp_path: Path
) -> None:
    ended = run(f"{before}\nWHY = {why!r}\n{MEMORY_RUN}", folder=tmp_path)
    assert ended.returncode == 0, ended.stderr


def test_a_scenario_is_rehearsed_where_there_is_no_ceylon(tmp_path: Path) -> None:
    ended = run(NOT_INSTALLED + COMMAND, "diagram", "specialists", folder=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("sequenceDiagram")


def test_a_command_that_needs_a_workspace_ends_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "tasks.jsonl").write_text('{"id": 1, "description": "x"}\n', encoding="utf-8")
    ended = run(NOT_INSTALLED + COMMAND, "manager", "--tasks", "tasks.jsonl", folder=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("muster: Ceylon can't be loaded: No module named 'ceylon'. This")


def test_a_command_that_only_simulates_loads_no_ceylon_where_it_is_installed(
    tmp_path: Path,
) -> None:
    ended = run("import sys\n" + COMMAND, "simulate", "specialists", folder=tmp_path)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("line", "is_left_out"),
    [
        ("report --store run.db", True),
        ("simulate --stress", True),
        ("-v status --store=run.db", True),
        ("why 3 --store run.db", True),
        ("skills show --file skills.json", True),
        ("manager --link nats://127.0.0.1:4222 --tasks t.jsonl", True),
        ("manager --link=tls://nats.example:4222 --tasks t.jsonl", True),
        ("manager --tasks t.jsonl", False),
        ("manager --tasks t.jsonl --store run.db", False),
        ("worker --join ticket --name Ada --skill 5", False),
        ("why 3 --join ticket", False),
        ("why 3", False),
        ("run specialists", False),
        ("diagram embedded --store run.db", False),
        ("submit --join ticket -- --link nats://127.0.0.1:4222", False),
        ("", False),
    ],
)
def test_which_commands_leave_ceylon_out(
    line: str, is_left_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[bool] = []
    monkeypatch.setattr(ceylon_need, "leave_ceylon_out", lambda: called.append(True))
    ceylon_need.leave_ceylon_out_if_unused(line.split())
    assert bool(called) is is_left_out


def test_the_stand_ins_have_what_the_agents_use_of_ceylon() -> None:
    for name in ceylon_api.__all__:
        real = getattr(ceylon_api, name)
        if name in {"ceylon_support", "ceylon_processors", "require_ceylon"}:
            continue
        stand_in = getattr(without_ceylon, name, without_ceylon.refuse)
        assert isinstance(stand_in, type) is isinstance(real, type), name
    assert {each.name: each.value for each in without_ceylon.PeerMode} == {
        each.name: each.value for each in ceylon_api.PeerMode
    }
    fields = inspect.signature(ceylon_api.AgentDetail).parameters
    assert list(fields) == list(inspect.signature(without_ceylon.AgentDetail).parameters)
    assert without_ceylon.DEFAULT_WORKSPACE_ID == ceylon_api.DEFAULT_WORKSPACE_ID
    for pattern in ("*", "room", "room:*", "*:worker", "*:boss", "other", "room:worker"):
        stand_in, real = (
            room.BaseAgent._matches_pattern(object(), pattern, "room", "worker")
            for room in (without_ceylon, ceylon_api)
        )
        assert stand_in is real, pattern


def declare(room: Any) -> dict[str, Any]:
    class Agent:
        @room.on(int)
        async def count(self) -> None: ...

        @room.on_run()
        async def begin(self) -> None: ...

        @room.on_connect("*:worker")
        async def meet(self) -> None: ...

    return vars(Agent)


def test_methods_are_declared_as_with_ceylon() -> None:
    support = ceylon_api.ceylon_support
    for room, tables in ((without_ceylon, without_ceylon), (ceylon_api, support)):
        methods = declare(room)
        assert tables.message_handlers["declare.<class 'int'>"] is methods["count"]
        assert tables.run_handlers["declare"] is methods["begin"]
        assert tables.connect_handlers["declare"]["*:worker"] is methods["meet"]


@pytest.mark.parametrize(
    ("where", "system", "machine"),
    [
        (Platform("Linux", "x86_64", ("glibc", "2.36"), (3, 12)), "linux", "x86_64"),
        (Platform("Linux", "aarch64", ("glibc", "2.36"), (3, 12)), "linux", "aarch64"),
        (Platform("Darwin", "arm64", ("", ""), (3, 12)), "darwin", "arm64"),
        (Platform("Windows", "AMD64", ("", ""), (3, 12)), "win32", "AMD64"),
        (Platform("Windows", "ARM64", ("", ""), (3, 12)), "win32", "ARM64"),
        (Platform("FreeBSD", "amd64", ("", ""), (3, 12)), "freebsd14", "amd64"),
    ],
)
def test_ceylon_is_required_where_it_has_a_build_and_nowhere_else(
    where: Platform, system: str, machine: str, checkout: Path
) -> None:
    project = (checkout / "pyproject.toml").read_text(encoding="utf-8")
    (line,) = re.findall(r'^    "(ceylon==.+)",$', project, re.MULTILINE)
    marker = Requirement(line).marker
    assert marker is not None
    is_required = marker.evaluate({"sys_platform": system, "platform_machine": machine})
    assert is_required is (why_unsupported(where) is None)
