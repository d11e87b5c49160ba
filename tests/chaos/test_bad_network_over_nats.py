"""A run over NATS whose workers reach only the server, over a link that loses and delays."""

from __future__ import annotations

import dataclasses
import json
import random
import sys
from pathlib import Path

import pytest
from muster.agents.security.ticket import read_ticket, write_ticket_file

from ..nats_server import running_nats_server
from .conftest import Tell
from .crew import Crew
from .evidence import check_each_recorded_once
from .namespaces import network
from .processes import Processes

pytestmark = [
    pytest.mark.nats,
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.usefixtures("needs_networks"),
]

TASKS = 200
NAMES = ("Ada", "Ben")
TAKES_S = (0.03, 0.06)
RELAY = Path(__file__).with_name("frame_relay.py")
LOSS = 0.1
DELAY_S = 0.05


def test_workers_behind_nat_whose_link_loses_a_tenth_and_is_late_record_every_result(
    tmp_path: Path, processes: Processes, chance: random.Random, tell: Tell
) -> None:
    # No packet gets from the workers' segment to the manager's: both dial the server.
    segments = {"cloud": ("manager", "nats"), "home": ("nats", *NAMES)}
    with network(segments) as built:
        on_switch, interfaces = built.interrupt("nats", "home")
        relay = processes.start(
            "relay",
            [
                *(*on_switch, sys.executable, str(RELAY), *interfaces),
                *("--loss", str(LOSS), "--delay-s", str(DELAY_S)),
                *("--seed", str(chance.randrange(1_000_000))),
            ],
        )
        server_on = {"prefix": built.inside("nats"), "host": "0.0.0.0", "jetstream": False}
        with running_nats_server(tmp_path / "nats", **server_on) as server:
            crew = Crew(
                processes, tmp_path, workers=NAMES, tasks=TASKS, takes_s=TAKES_S, chance=chance
            )
            near = f"nats://{built.address('nats', 'cloud')}:{server.port}"
            crew.start_manager(on=built.inside("manager"), options=("--link", near))
            far = f"nats://{built.address('nats', 'home')}:{server.port}"
            ticket_file = tmp_path / "ticket of the workers"
            ticket = dataclasses.replace(read_ticket(crew.ticket_file), nats=far)
            write_ticket_file(ticket_file, ticket)
            for name in NAMES:
                crew.start_worker(name, on=built.inside(name), ticket_file=ticket_file)
            report = crew.finish(within_s=240)
            relay.end()
    counts = json.loads(relay.out.read_text(encoding="utf-8"))
    tell(f"over; {len(crew.executions())} executions of {TASKS} tasks; the relay: {counts}")
    check_each_recorded_once(report, crew.executions(), TASKS)
    assert counts["lost"] > 0
