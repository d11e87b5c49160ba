"""What a fresh process loads: nothing that it can do without before its first result."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import muster.agents
import pytest
from muster.agents.worker_pool.worker_spec import WorkerSpec
from muster.messages import WorkerProfile

NOT_TO_WORK_WITH = {
    "aiohttp",
    "attr",
    "bs4",
    "fastapi",
    "filelock",
    "fsspec",
    "http.client",
    "httpx",
    "lxml",
    "pygments",
    "requests",
    "rich",
    "setproctitle",
    "sqlite3",
    "structlog",
    "typer",
}
"""What draws, stores, fetches, locks files and reads command lines."""

BOARD = {"muster.agents.kernel.board.board", "muster.agents.kernel.board.state"}

TELL = """
import json, sys
sys.stdout.write(json.dumps(sorted(sys.modules)))
"""

NO_TICKET = 2
"""The exit code of a worker that has loaded all, and then finds no ticket."""

RUN_AND_TELL = """
import sys
try:
    {run}
except SystemExit as ending:
    assert ending.code == {code}, ending.code
""".strip()


def loaded_by(code: str, *arguments: str, folder: Path | None = None) -> set[str]:
    """The modules that a fresh process has loaded when it has run some code."""
    ran = subprocess.run(
        [sys.executable, "-c", code + "\n" + TELL, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return set(json.loads(ran.stdout))


def told_to_type_checkers() -> dict[str, str]:
    """The names that `muster.agents` has for a type checker, and the rooms they come from."""
    source = Path(str(muster.agents.__file__)).read_text(encoding="utf-8")
    (block,) = (node for node in ast.parse(source).body if isinstance(node, ast.If))
    return {
        alias.name: "." * node.level + str(node.module)
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_the_package_alone_loads_nothing_but_itself() -> None:
    loaded = loaded_by("import muster.agents")
    assert {name for name in loaded if name.startswith("muster.")} == {
        "muster.agents",
        "muster.agents.runtime",
        "muster.agents.runtime.lazy_exports",
    }
    assert loaded & {"asyncio", "ceylon", "pydantic"} == set()


def test_each_name_of_the_package_is_what_type_checkers_are_told() -> None:
    told = told_to_type_checkers()
    assert set(told) == set(muster.agents.__all__)
    for name, room in told.items():
        home = importlib.import_module(room, "muster.agents")
        assert getattr(muster.agents, name) is getattr(home, name)


def test_the_package_lists_all_of_its_names_before_they_are_used() -> None:
    loaded_by(
        "import muster.agents\n"
        "assert set(muster.agents.__all__) <= set(dir(muster.agents))\n"
        "from muster.agents import *\n"
        "assert TaskManager and run_in_virtual_time"
    )


def test_a_name_that_the_package_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"'muster\.agents' has no attribute 'Boss'"):
        muster.agents.Boss  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'Boss'"):
        exec("from muster.agents import Boss")


def test_a_manager_and_its_processes_load_no_more_than_they_need() -> None:
    loaded = loaded_by(
        "from muster.agents import TaskManager\n"
        "from muster.agents.worker_pool.processes import LocalProcesses\n"
        "manager = TaskManager(expected_workers=2, quiet=True)"
    )
    assert loaded & NOT_TO_WORK_WITH == set()
    assert "muster.agents.report.model" not in loaded
    assert "muster.agents.kernel.matching.scorecards.scorecard_file" not in loaded
    assert "muster.agents.worker.worker_agent" not in loaded


def test_a_worker_knows_nothing_of_boards() -> None:
    loaded = loaded_by("from muster.agents import WorkerAgent\nWorkerAgent('Ada', 5)")
    assert loaded & NOT_TO_WORK_WITH == set()
    assert "muster.agents.manager.task_manager" not in loaded
    assert loaded & BOARD == set()


def test_a_process_that_was_started_as_a_worker_loads_no_more_than_that(tmp_path: Path) -> None:
    run = "from muster.agents.command.processes.worker_process import main; main()"
    loaded = loaded_by(
        RUN_AND_TELL.format(run=run, code=NO_TICKET),
        WorkerSpec(WorkerProfile("Ada", 5)).line(),
        folder=tmp_path,
    )
    assert "muster.agents.command.worker" in loaded
    assert loaded & NOT_TO_WORK_WITH == set()
    assert loaded & BOARD == set()


def test_a_fork_server_is_started_before_anything_that_takes_long() -> None:
    loaded = loaded_by(
        "import muster.agents.worker_pool.fork_server, muster.agents.bench.fresh_process"
    )
    assert {name for name in loaded if name.startswith("muster.")} == {
        "muster.agents",
        "muster.agents.bench",
        "muster.agents.bench.fresh_process",
        "muster.agents.runtime",
        "muster.agents.runtime.ceylon_choice",
        "muster.agents.runtime.lazy_exports",
        "muster.agents.worker_pool",
        "muster.agents.worker_pool.fork_server",
        "muster.agents.worker_pool.worker_spec",
    }
    assert loaded & {"asyncio", "ceylon", "cryptography", "loguru", "pydantic"} == set()


def test_what_a_fork_server_loads_for_its_workers_is_no_more_than_they_need(tmp_path: Path) -> None:
    loaded = loaded_by(
        "from muster.agents.command.processes.fork_server import load; load()",
        folder=tmp_path,
    )
    assert {"muster.agents.command.user_modules", "muster.agents.command.worker"} <= loaded
    assert loaded & NOT_TO_WORK_WITH == set()
    assert loaded & BOARD == set()


def test_the_command_worker_draws_and_stores_nothing(tmp_path: Path) -> None:
    run = (
        "from muster.agents.command import main; "
        "main(['worker', '--join', 'muster:2:', '--name', 'Ada', '--skill', '5'])"
    )
    loaded = loaded_by(RUN_AND_TELL.format(run=run, code=NO_TICKET), folder=tmp_path)
    assert "muster.agents.command.worker" in loaded
    # The command line itself takes these two.
    assert loaded & NOT_TO_WORK_WITH == {"setproctitle", "typer"}
    assert loaded & BOARD == set()


def test_the_command_tells_its_help_without_a_network(tmp_path: Path) -> None:
    run = (
        "import contextlib, io; from muster.agents.command import main\n"
        "    with contextlib.redirect_stdout(io.StringIO()): main(['--help'])"
    )
    loaded = loaded_by(RUN_AND_TELL.format(run=run, code=0), folder=tmp_path)
    assert loaded & {"asyncio", "ceylon", "cryptography", "rich", "structlog"} <= {"asyncio"}


def test_the_library_loads_nothing_to_tell_a_line() -> None:
    import_it = "from muster.agents.runtime.log import log\n"
    told = loaded_by(
        "import logging; logging.getLogger('muster').addHandler(logging.NullHandler())\n"
        f"{import_it}log.warning('a fault', of='the link')"
    )
    assert told - loaded_by("import logging\n" + import_it) == set()
