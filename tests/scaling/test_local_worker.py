"""The process that `LocalProcesses` starts, without a manager."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from muster.agents.security.ticket import TICKET_VARIABLE, Ticket
from muster.agents.worker_pool.processes import LocalProcesses
from muster.agents.worker_pool.worker_spec import WorkerSpec
from muster.messages import InvalidInput, WorkerProfile

from ..every_field import make

CANNOT_BE_DONE = 2


def run_worker(order: str, folder: Path, ticket: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "muster.agents.command.processes.worker_process", order],
        env={**os.environ, TICKET_VARIABLE: ticket},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_an_order_is_read_as_it_was_written() -> None:
    order = WorkerSpec(
        make(WorkerProfile, name="Ådå", specialties=("tea", "\u65e5")), ("a:b",), 0.5
    )
    assert WorkerSpec.parse(order.line()) == order
    assert order.line().isascii()


@pytest.mark.processes
def test_without_a_ticket_it_says_so_and_ends(tmp_path: Path) -> None:
    ended = run_worker(WorkerSpec(WorkerProfile("Ada", 5)).line(), tmp_path)
    assert (ended.returncode, ended.stdout) == (CANNOT_BE_DONE, "")
    assert ended.stderr.startswith("muster: ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.processes
def test_ctrl_c_that_comes_while_it_loads_is_left_to_whoever_started_it(tmp_path: Path) -> None:
    (tmp_path / "slow_to_load.py").write_text(
        "import os, signal\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "from muster.agents import Handlers\n"
        "handlers = Handlers()\n"
    )
    ended = run_worker(
        WorkerSpec(WorkerProfile("Ada", 5), handlers=("slow_to_load",)).line(), tmp_path
    )
    # It went on to the ticket, which is missing.
    assert ended.returncode == CANNOT_BE_DONE
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("given", "told"),
    [({"skill_level": -1}, "skill_level: -1"), ({"skill_level": 5, "slots": 0}, "slots: 0")],
)
def test_workers_that_cannot_be_are_refused_before_one_is_started(
    given: dict[str, int], told: str
) -> None:
    ticket = Ticket("leaves", "peer", "127.0.0.1", 7446)
    with pytest.raises(InvalidInput, match=f"^no worker can be started like this: {told}"):
        LocalProcesses(ticket, **given)
