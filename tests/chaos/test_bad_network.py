"""Runs over networks that fail: links go down, datagrams are lost and late."""

from __future__ import annotations

import dataclasses
import json
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from muster.agents.security.ticket import read_ticket, write_ticket_file

from .conftest import Tell, pause
from .crew import Crew
from .evidence import check_each_recorded_once
from .namespaces import Network, network
from .processes import Processes

pytestmark = [
    pytest.mark.ceylon,
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.usefixtures("needs_networks"),
]

TASKS = 600
FEW_TASKS = 300
NAMES = ("Ada", "Ben", "Cleo", "Dan")
PORT = 9_000
PARTITION_S = 20.0
BACK_S = 60.0
# Four slots alone do 270 of these in 20 s, and as many again before the run is over: those who were
# cut off have time to come back.
LONG_S = (0.25, 0.35)
SHORT_S = (0.03, 0.06)

RELAY = Path(__file__).with_name("udp_relay.py")
LOSS = 0.1
DELAY_S = 0.05


@pytest.fixture
def one_connection() -> Iterator[Network]:
    """A manager and four workers side by side."""
    with network({"wire": ("manager", *NAMES)}) as built:
        yield built


@pytest.fixture
def two_connections() -> Iterator[Network]:
    """A manager and four workers, who see each other only through a relay."""
    with network({"hill": ("manager", "relay"), "valley": ("relay", *NAMES)}) as built:
        yield built


@pytest.mark.parametrize("cut_off", [("Ada", "Ben"), ("manager",)], ids=["two_workers", "manager"])
def test_a_partition_of_twenty_seconds_costs_no_result(
    one_connection: Network,
    tmp_path: Path,
    processes: Processes,
    chance: random.Random,
    tell: Tell,
    cut_off: Sequence[str],
) -> None:
    crew = Crew(processes, tmp_path, workers=NAMES, tasks=TASKS, takes_s=LONG_S, chance=chance)
    address = one_connection.address("manager", "wire")
    crew.start_manager(on=one_connection.inside("manager"), host=address, port=PORT)
    for name in NAMES:
        crew.start_worker(name, on=one_connection.inside(name))
    crew.wait_for_executions(TASKS // 10, within_s=120)
    for host in cut_off:
        one_connection.cut(host, "wire")
    tell(f"cut off: {', '.join(cut_off)}; {len(crew.executions())} executions")
    pause(PARTITION_S)
    for host in cut_off:
        one_connection.mend(host, "wire")
    begun = len(crew.executions())
    tell(f"mended; {begun} executions")
    if crew.is_over:
        crew.fail("the run was over before the partition was")
    pids = {crew.workers[host].pid for host in (NAMES if "manager" in cut_off else cut_off)}
    crew.wait_until(
        lambda: pids <= {execution.pid for execution in crew.executions()[begun:]},
        within_s=BACK_S,
        what="all who were cut off work again, without having been started anew",
    )
    tell("all who were cut off work again")
    report = crew.finish(within_s=300)
    tell(f"over; {len(crew.executions())} executions of {TASKS} tasks")
    check_each_recorded_once(report, crew.executions(), TASKS)


def test_a_tenth_of_all_datagrams_lost_and_the_rest_late_costs_no_result(
    two_connections: Network,
    tmp_path: Path,
    processes: Processes,
    chance: random.Random,
    tell: Tell,
) -> None:
    crew = Crew(processes, tmp_path, workers=NAMES, tasks=FEW_TASKS, takes_s=SHORT_S, chance=chance)
    server = two_connections.address("manager", "hill")
    entrance = two_connections.address("relay", "valley")
    relay = processes.start(
        "relay",
        [
            *(*two_connections.inside("relay"), sys.executable, str(RELAY)),
            *("--listen", f"{entrance}:{PORT}", "--to", f"{server}:{PORT}"),
            *("--loss", str(LOSS), "--delay-s", str(DELAY_S)),
            *("--seed", str(chance.randrange(1_000_000))),
        ],
    )
    crew.start_manager(on=two_connections.inside("manager"), host=server, port=PORT)
    ticket_file = tmp_path / "ticket of the relay"
    ticket = read_ticket(crew.ticket_file)
    write_ticket_file(ticket_file, dataclasses.replace(ticket, host=entrance, port=PORT))
    for name in NAMES:
        crew.start_worker(name, on=two_connections.inside(name), ticket_file=ticket_file)
    report = crew.finish(within_s=300)
    relay.end()
    counts = json.loads(relay.out.read_text(encoding="utf-8"))
    tell(f"over; {len(crew.executions())} executions of {FEW_TASKS} tasks; the relay: {counts}")
    check_each_recorded_once(report, crew.executions(), FEW_TASKS)
    share = counts["lost"] / (counts["lost"] + counts["passed"])
    assert share == pytest.approx(LOSS, abs=0.03)
