"""Agents in several time zones, and the hour that occurs twice: two agents never get one task."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from muster.agents.state_file.json_values import from_timestamp, to_timestamp

pytestmark = pytest.mark.skipif(not hasattr(time, "tzset"), reason="zones can't be changed here")

# Clocks were set back from 3:00 to 2:00 at this moment.
SET_BACK = datetime.fromisoformat("2023-10-29T01:00:00+00:00").timestamp()
HALF_HOUR_S = 1800.0

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/Los_Angeles",
    "Asia/Kolkata",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Australia/Lord_Howe",
]


@pytest.fixture
def set_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def do(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield do
    monkeypatch.undo()
    time.tzset()


TAKE = """
import json, sys
from muster.agents import StateFileTaskManager
file, hours, at = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
manager = StateFileTaskManager(
    file, task_timeout_hours=hours, survives_power_loss=False, clock=lambda: at
)
task = manager.get_next_task("agent")
print(json.dumps(task))
"""


def take_in(zone: str, file: str, hours: float, at: float) -> Any:
    """What an agent in another zone gets."""
    command = [sys.executable, "-c", TAKE, file, str(hours), str(at)]
    answer = subprocess.run(
        command, env={**os.environ, "TZ": zone}, capture_output=True, check=True, timeout=180
    )
    return json.loads(answer.stdout)


# ------------------------------------------------------------------ the words


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("zone_of_reader", ["UTC", "America/Los_Angeles", "Asia/Kolkata"])
def test_a_timestamp_means_one_moment_everywhere(
    set_zone: Any, zone: str, zone_of_reader: str
) -> None:
    moments = [SET_BACK + quarter * 900.25 for quarter in range(-12, 12)]
    moments += [0.0, 1_700_000_000.5, 2_000_000_000.0, 1e10]
    set_zone(zone)
    written = [to_timestamp(moment) for moment in moments]
    set_zone(zone_of_reader)
    assert [from_timestamp(text) for text in written] == pytest.approx(moments, abs=1e-6)


def test_the_hour_that_comes_twice_is_told_apart(set_zone: Any) -> None:
    set_zone("Europe/Berlin")
    assert to_timestamp(SET_BACK - HALF_HOUR_S) == "2023-10-29T02:30:00+02:00"
    assert to_timestamp(SET_BACK + HALF_HOUR_S) == "2023-10-29T02:30:00+01:00"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2023-10-29T01:30:00", SET_BACK - 5400),
        # Of the hour that comes twice it means the first, as ever.
        ("2023-10-29T02:30:00", SET_BACK - 1800),
        ("2023-10-29T03:30:00", SET_BACK + 5400),
        ("2023-10-29T02:30:00Z", SET_BACK + 5400),
        ("2023-10-29 02:30:00", SET_BACK - 1800),
        ("2023-10-29", SET_BACK - 10_800),
    ],
)
def test_what_names_no_offset_is_local_time_as_before(
    set_zone: Any, text: str, moment: float
) -> None:
    set_zone("Europe/Berlin")
    assert from_timestamp(text) == moment


# ------------------------------------------------------------------ the tasks


@pytest.mark.parametrize("after_s", [-5400.0, -1800.0, -1.0, 0.0, 1.0, 1800.0, 3599.0])
def test_a_hold_lasts_as_long_in_the_hour_that_comes_twice(
    make_either: Any, clock: Any, set_zone: Any, after_s: float
) -> None:
    set_zone("Europe/Berlin")
    clock.at = SET_BACK + after_s
    manager = make_either(task_timeout_hours=0.75)
    task_id = manager.create_task("brew")
    assert manager.get_next_task("ada")["id"] == task_id
    clock.pass_hours(0.74)
    assert manager.get_next_task("ben") is None
    clock.pass_hours(0.02)
    assert manager.get_next_task("ben")["id"] == task_id


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize("kind", ["json", "sqlite"])
@pytest.mark.parametrize(
    "zones", [("Pacific/Pago_Pago", "Pacific/Kiritimati"), ("UTC", "Asia/Kolkata")]
)
def test_agents_of_two_zones_do_not_get_one_task(
    make: Any, make_sqlite: Any, tmp_path: Path, clock: Any, zones: tuple[str, str], kind: str
) -> None:
    manager = make() if kind == "json" else make_sqlite()
    task_id = manager.create_task("brew")
    file = str(manager.state_file)
    one, other = zones
    assert take_in(one, file, 1.0, clock.at)["id"] == task_id
    for zone in (other, one):
        assert take_in(zone, file, 1.0, clock.at + 3500) is None
    assert take_in(other, file, 1.0, clock.at + 3700)["id"] == task_id
    assert manager.get_task(task_id)["locked_at"].endswith(
        {"Pacific/Kiritimati": "+14:00", "Asia/Kolkata": "+05:30"}[other]
    )


def test_a_time_before_which_a_task_does_not_start_keeps_its_fold(
    make_sqlite: Any, clock: Any, set_zone: Any, tmp_path: Path
) -> None:
    set_zone("Europe/Berlin")
    clock.at = SET_BACK - 7200
    manager = make_sqlite()
    ids = [
        manager.create_task("brew", not_before=datetime.fromisoformat(text).replace(fold=fold))
        for text, fold in (("2023-10-29T02:30:00", 0), ("2023-10-29T02:30:00", 1))
    ]
    told = [manager.get_task(task_id)["not_before"] for task_id in ids]
    assert told == ["2023-10-29T02:30:00+02:00", "2023-10-29T02:30:00+01:00"]
    clock.at = SET_BACK
    assert manager.get_next_task("ada")["id"] == ids[0]
    assert manager.get_next_task("ada") is None
    clock.at = SET_BACK + HALF_HOUR_S
    assert manager.get_next_task("ada")["id"] == ids[1]


def test_all_that_is_written_names_its_offset(make_either: Any, set_zone: Any, clock: Any) -> None:
    set_zone("Asia/Kolkata")
    manager = make_either()
    task_id = manager.create_task("brew")
    manager.get_next_task("ada")
    told = [manager.get_task(task_id)["locked_at"], manager.get_task(task_id)["created_at"]]
    manager.complete_task(task_id, "ada")
    told.append(manager.get_task(task_id)["completed_at"])
    told += [manager.workflow_metadata[name] for name in ("initialized_at", "last_updated")]
    assert {datetime.fromisoformat(text).utcoffset() for text in told} == {
        timedelta(hours=5, minutes=30)
    }


def test_a_row_that_an_earlier_muster_has_locked_is_held_as_long(
    make_sqlite: Any, tmp_path: Path, clock: Any, set_zone: Any
) -> None:
    set_zone("Europe/Berlin")
    manager = make_sqlite(task_timeout_hours=2)
    task_id = manager.create_task("brew")
    hold = (
        "UPDATE task SET status = 'in_progress', locked_by = 'eve', locked_at = ?, held_since = ?"
    )
    local = datetime.fromtimestamp(clock.at).isoformat()  # noqa: DTZ006 - as it was written
    file = tmp_path / "states" / "tea.db"
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(hold, (local, clock.at))
    set_zone("Pacific/Pago_Pago")
    clock.pass_hours(1.9)
    assert manager.get_next_task("ada") is None
    clock.pass_hours(0.2)
    assert manager.get_next_task("ada")["id"] == task_id
