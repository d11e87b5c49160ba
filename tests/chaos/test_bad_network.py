"""Five hundred tasks over networks that fail: links go down, datagrams are lost and late."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

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

TASKS = 500
NAMES = ("Ada", "Ben", "Cleo", "Dan")
PORT = 9_000
PARTITION_S = 20.0
# Eight slots need at least 25 s for these: a partition of 20 s lies in the middle of the run.
LONG_S = (0.35, 0.55)


@pytest.fixture
def one_wire() -> Iterator[Network]:
    """A manager and four workers side by side."""
    with network({"wire": ("manager", *NAMES)}) as built:
        yield built


@pytest.mark.parametrize("cut_off", [("Ada", "Ben")], ids=["two_workers"])
def test_a_partition_of_twenty_seconds_costs_no_result(
    one_wire: Network,
    tmp_path: Path,
    processes: Processes,
    chance: random.Random,
    tell: Tell,
    cut_off: Sequence[str],
) -> None:
    crew = Crew(processes, tmp_path, workers=NAMES, tasks=TASKS, takes_s=LONG_S, chance=chance)
    address = one_wire.address("manager", "wire")
    crew.start_manager(on=one_wire.inside("manager"), host=address, port=PORT)
    for name in NAMES:
        crew.start_worker(name, on=one_wire.inside(name))
    crew.wait_for_executions(TASKS // 10, within_s=30)
    for host in cut_off:
        one_wire.cut(host, "wire")
    tell(f"cut off: {', '.join(cut_off)}; {len(crew.executions())} executions")
    pause(PARTITION_S)
    for host in cut_off:
        one_wire.mend(host, "wire")
    executions_before = len(crew.executions())
    tell(f"mended; {executions_before} executions")
    assert not crew.is_over
    report = crew.finish(within_s=60)
    tell(f"over; {len(crew.executions())} executions of {TASKS} tasks")
    check_each_recorded_once(report, crew.executions(), TASKS)
