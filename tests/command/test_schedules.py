"""`muster schedules`, and the schedules of a file for `muster manager`."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from muster.agents.command.schedules_file import read_schedules
from muster.agents.kernel.model.events import ListeningStarted
from muster.agents.store.sqlite import SqliteStore, read_store
from muster.messages import InvalidInput

from ..schedules.conftest import Scheduler

Invoke = Callable[..., Any]

GOOD = {"name": "job", "cron": "*/5 * * * *", "type": "work"}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(content: Any, name: str = "schedules.json") -> Path:
    path = Path(name)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("wrap", [lambda each: each, lambda each: {"schedules": each}])
def test_a_file_has_a_list_of_schedules_with_the_fields_of_their_tasks(wrap: Any) -> None:
    other = {"name": "pulse", "every_s": 2, "type": "beat", "data": {"a": [1]}, "priority": 3}
    job, pulse = read_schedules(write(wrap([{**GOOD, "tz": "Europe/Berlin"}, other])))
    assert (job.name, job.terms.cron, job.terms.tz) == ("job", "*/5 * * * *", "Europe/Berlin")
    assert (pulse.terms.every_s, pulse.task.type, pulse.task.priority) == (2.0, "beat", 3)
    assert pulse.task.data == {"a": [1]}


TOML = """
[[schedules]]
name = "job"
cron = "@daily"
missed = "latest"
overlap = "skip"
type = "work"
timeout = 60
"""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="TOML needs Python 3.11")
def test_a_file_may_be_toml() -> None:
    (job,) = read_schedules(write(TOML, "schedules.toml"))
    assert (job.terms.missed, job.terms.overlap, job.task.timeout) == ("latest", "skip", 60.0)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "can't be read"),
        ("[]", "has no list of schedules"),
        ({"tasks": [GOOD]}, 'write a list of objects, or {"schedules": [...]}'),
        ([7], "it is 7; it must be an object with name, cron and type"),
        ([{**GOOD, "name": ""}], "the name of a schedule is ''"),
        ([GOOD, GOOD], "schedule 2: another schedule has the name 'job' too"),
        ([{**GOOD, "cron": "61 * * * *"}], "schedule 1: schedule 'job': cron is '61 * * * *'"),
        ([{**GOOD, "cron": 5}], "cron is 5; it must be text"),
        ([{**GOOD, "tz": 5}], "there is no time zone 5"),
        ([{**GOOD, "every_s": 5}], "has both of cron and every_s"),
        ([{**GOOD, "overlap": None}], "overlap of schedule 'job' is None"),
        ([{**GOOD, "id": 1}], "schedule 'job' has an id; leave it out"),
        ([{**GOOD, "tipe": "x"}], "the task of schedule 'job': tipe"),
        ([{**GOOD, "difficulty": 11}], "the task of schedule 'job': difficulty"),
        ([{**GOOD, "name": ""}, {**GOOD, "tz": "Mars"}], "2 problems:"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(content: Any, told: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        read_schedules(write(content))
    assert told in str(refusal.value)


def test_a_file_of_another_kind_or_none_at_all_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"extension '.yaml'; it must be one of .json, .toml"):
        read_schedules(write("", "schedules.yaml"))
    with pytest.raises(InvalidInput, match="No such file"):
        read_schedules(Path("none.json"))


def test_a_manager_does_not_start_with_a_file_that_is_wrong(invoke: Invoke) -> None:
    write([{**GOOD, "cron": "* *"}])
    ended = invoke("manager", "--schedules", "schedules.json", "--port", "0")
    assert ended.code == 2
    assert "which has 2 fields; it must have 5" in ended.err


def test_the_schedules_of_a_store_are_shown_as_table_and_as_json(invoke: Invoke) -> None:
    store = SqliteStore("run.db")
    scheduler = Scheduler(job={"cron": "30 3 * * *", "tz": "Europe/Berlin"}, pulse={"every_s": 30})
    scheduler.make_store = lambda: store
    scheduler.prepare()
    scheduler.runner.begin()
    scheduler.driver.apply(ListeningStarted(), at_once=True)
    scheduler.driver.close_store()
    shown = invoke("schedules", "--store", "run.db")
    assert (shown.code, shown.err) == (0, "")
    headings, job, pulse = shown.out.splitlines()
    assert headings.split()[:3] == ["name", "due", "zone"]
    assert job.split() == [
        *("job", "30", "3", "*", "*", "*", "Europe/Berlin"),
        *("not", "active", "-", "-", "0", "0"),
    ]
    assert pulse.startswith("pulse  every 30 s")
    found = json.loads(invoke("schedules", "--store", "run.db", "--json").out)
    assert [each["name"] for each in found] == ["job", "pulse"]
    assert found[1]["every_s"] == 30.0
    assert found[0]["next_due"] > 0


def test_a_store_without_schedules_and_no_place_at_all(invoke: Invoke) -> None:
    SqliteStore("run.db").close()
    assert invoke("schedules", "--store", "run.db").out == "there are no schedules\n"
    neither = invoke("schedules")
    assert neither.code == 2
    assert "give exactly one of --store and --join" in neither.err


@pytest.mark.ceylon
@pytest.mark.processes
@pytest.mark.slow
def test_a_manager_that_is_killed_makes_each_due_time_once(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    write([{"name": "pulse", "every_s": 0.5, "type": "beat", "overlap": "allow"}])
    (tmp_path / "beating.py").write_text(
        "from muster.agents import Handlers\n"
        "handlers = Handlers()\n"
        "@handlers.task('beat')\n"
        "def beat(task):\n"
        "    return 1\n"
    )

    def made() -> list[str]:
        rows = read_store(tmp_path / "run.db").tasks if Path("run.db").exists() else ()
        return [str(row.task_id) for row in rows]

    for _ in range(3):
        before = len(made())
        manager = start(
            *("manager", "--schedules", "schedules.json", "--store", "run.db", "--port", "0"),
            *("--workers", "1:1", "--handlers", "beating"),
        )
        manager.wait_until(lambda before=before: len(made()) >= before + 3)
        manager.interrupt(signal.SIGKILL)
        manager.end()
    ids = made()
    assert len(ids) == len(set(ids)) >= 9
    at = [datetime.fromisoformat(each.partition("@")[2]).timestamp() for each in ids]
    assert {round(later - earlier, 3) for earlier, later in pairwise(at)} == {0.5}
    shown = start("schedules", "--store", "run.db").end()
    assert "pulse  every 0.5 s" in shown.out
