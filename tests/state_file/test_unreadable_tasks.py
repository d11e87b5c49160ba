"""A task that can't be read is set aside unchanged, and all others can be used."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
from muster.agents.state_file.json_text import find_depth, split_members
from muster.messages import UnreadableTask

TOP = '{"workflow_type": "tea", "metadata": {}, "tasks": {%s}}'
GOOD = '{"type": "brew", "status": "pending", "data": {"cups": %d}}'
BEGUN = '"status": "in_progress", "locked_by": "eve", "locked_at": "2001-01-01T00:00:00"'

PENDING = '{"type": "brew", "status": "pending", '
DEEP = "[" * 20_000 + "]" * 20_000
FAIRLY_DEEP = "[" * 400 + "]" * 400
BAD: dict[str, tuple[str, str]] = {
    "too_large": ('{"type": "brew", "status": "pending", "data": 1e999}', "1e999"),
    "too_large_negative": ('{"type": "brew", "status": "pending", "data": [-1E+400]}', "-1E"),
    "too_large_by_digits": (
        '{"type": "brew", "status": "pending", "data": %s.5}' % ("9" * 400),
        "too large",
    ),
    "too_large_and_held": (f'{{"type": "brew", {BEGUN}, "data": 1e999}}', "1e999"),
    "not_a_number": ('{"type": "brew", "status": "pending", "data": NaN}', "NaN"),
    "infinity": ('{"type": "brew", "status": "pending", "data": {"a": [Infinity]}}', "Infinity"),
    "minus_infinity": ('{"type": "brew", "status": "pending", "x": -Infinity}', "-Infinity"),
    "huge_integer": (
        '{"type": "brew", "status": "pending", "data": %s}' % ("7" * 5000),
        "too many digits",
    ),
    "deep": (PENDING + f'"data": {DEEP}}}', "nested too deep"),
    "fairly_deep": (
        PENDING + f'"data": {FAIRLY_DEEP}}}',
        "nested too deep",
    ),
    "doubled_name": (
        '{"type": "brew", "status": "pending", "type": "pour"}',
        "the name 'type' twice",
    ),
    "doubled_name_within": (
        '{"type": "brew", "status": "pending", "data": {"a": 1, "a": 2}}',
        "the name 'a' twice",
    ),
    "nothing": ("null", "not an object"),
    "text": ('"brew"', "is text, not an object"),
    "list": ("[1, 2]", "is a list, not an object"),
    "number": ("1e999", "1e999"),
    "empty": ("{}", "type of task"),
    "no_type": ('{"status": "pending"}', "type of task"),
    "type_of_wrong_type": ('{"type": 7, "status": "pending"}', "type of task"),
    "unknown_status": ('{"type": "brew", "status": "done"}', "'done'"),
    "status_of_wrong_type": ('{"type": "brew", "status": {"a": []}}', "status of task"),
    "holder_of_wrong_type": (
        '{"type": "brew", "status": "in_progress", "locked_by": 7}',
        "locked_by of task",
    ),
    "no_timestamp": (
        '{"type": "brew", "status": "in_progress", "locked_by": "a", "locked_at": "yesterday"}',
        "yesterday",
    ),
    "moment_too_far_away": (
        '{"type": "brew", "status": "in_progress", "locked_by": "a", "locked_at": 1e5}',
        "locked_at of task",
    ),
    "parent_of_wrong_type": (
        '{"type": "brew", "status": "pending", "parent_id": []}',
        "parent_id of task",
    ),
}


LAYOUTS = ["ours", "one_line", "spread_out"]


def document(bad: str, layout: str) -> str:
    return laid_out([f'"good_1": {GOOD % 1}', f'"bad": {bad}', f'"good_2": {GOOD % 2}'], layout)


def laid_out(tasks: list[str], layout: str) -> str:
    match layout:
        case "ours":
            return TOP % ("\n" + ",\n".join(tasks) + "\n") + "\n"
        case "one_line":
            return TOP % ", ".join(tasks)
        case _:
            return TOP.replace(",", ",\n\t") % (",\r\n    ".join(tasks).replace(": ", " :  "))


def raw_of(file: Path) -> str:
    """What stands in the file for the bad task, without white space."""
    (tasks,) = [each.value for each in split_members(file.read_text()) if each.name == '"tasks"']
    return next(each.value for each in split_members(tasks) if each.name == '"bad"')


def squeeze(text: str) -> str:
    return re.sub(r"\s", "", text)


# Below, all of them are in a file of each layout.
@pytest.mark.parametrize(
    ("bad", "told", "layout"),
    [
        pytest.param(text, told, layout, id=f"{name}-{layout}")
        for layout in LAYOUTS
        for name, (text, told) in list(BAD.items())[:: 1 if layout == "ours" else 5]
    ],
)
def test_a_bad_task_is_set_aside_and_the_others_go_on(
    make: Any, state_file: Path, bad: str, told: str, layout: str
) -> None:
    state_file.parent.mkdir()
    state_file.write_text(document(bad, layout))
    manager, other = make(), make()
    assert [manager.get_next_task("ada")["id"] for _ in range(2)] == ["good_1", "good_2"]
    assert other.get_next_task("ben") is None
    new = other.create_task("pour")
    assert manager.complete_task("good_1", "ada") is True
    assert other.get_status_summary()["total_tasks"] == 3
    assert [task["id"] for task in manager.get_tasks()] == ["good_1", "good_2", new]
    for each in (manager, other, make()):
        assert list(each.get_unreadable_tasks()) == ["bad"]
        assert told in each.get_unreadable_tasks()["bad"]
    assert squeeze(raw_of(state_file)) == squeeze(bad)
    assert list(state_file.parent.glob("*.corrupt-*")) == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_bad_tasks_at_once_are_set_aside(make: Any, state_file: Path, layout: str) -> None:
    tasks = [f'"{name}": {text}' for name, (text, _) in BAD.items() if name != "deep"]
    tasks.append(f'"good": {GOOD % 1}')
    state_file.parent.mkdir()
    state_file.write_text(laid_out(tasks, layout))
    manager = make()
    assert set(manager.get_unreadable_tasks()) == BAD.keys() - {"deep"}
    assert manager.get_next_task("ada")["id"] == "good"
    assert len(split_members(split_members(state_file.read_text())[-1].value)) == len(BAD)


def test_whoever_asks_for_a_bad_task_is_told_what_is_wrong(make: Any, state_file: Path) -> None:
    state_file.parent.mkdir()
    state_file.write_text(document(BAD["too_large"][0], "ours"))
    manager = make()
    before = state_file.read_bytes()
    for call in (
        lambda: manager.get_task("bad"),
        lambda: manager.get_task_children("bad"),
        lambda: manager.complete_task("bad", "ada"),
        lambda: manager.release_task("bad", "ada"),
        lambda: manager.renew_task("bad", "ada"),
        lambda: manager.cancel_task("bad"),
        lambda: manager.retry_task("bad"),
        lambda: manager.create_task("pour", parent_id="bad"),
    ):
        with pytest.raises(UnreadableTask, match=r"1e999.*repair it in the file"):
            call()
    assert state_file.read_bytes() == before


def test_it_is_logged_once(make: Any, state_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[Any] = []
    monkeypatch.setattr(
        "muster.agents.state_file.json_file.log.warning", lambda *_, **facts: logged.append(facts)
    )
    state_file.parent.mkdir()
    state_file.write_text(document(BAD["not_a_number"][0], "one_line"))
    manager = make()
    for _ in range(3):
        manager.create_task("brew")
        manager.get_status_summary()
    assert [each["task"] for each in logged] == ["bad"]
    assert "NaN" in logged[0]["reason"]


def test_a_bad_task_that_is_mended_is_given_out(make: Any, state_file: Path) -> None:
    state_file.parent.mkdir()
    state_file.write_text(document(BAD["too_large"][0], "ours"))
    manager = make()
    manager.get_next_task("ada")
    state_file.write_text(state_file.read_text().replace("1e999", "1e99"))
    assert manager.get_unreadable_tasks() == {}
    assert manager.get_next_task("ada")["id"] == "bad"


def test_a_good_task_that_becomes_bad_is_set_aside(make: Any, state_file: Path) -> None:
    manager = make()
    ids = [manager.create_task("brew", {"cups": number}) for number in range(3)]
    state_file.write_text(state_file.read_text().replace('"cups": 0', '"cups": 1e999'))
    assert manager.get_next_task("ada")["id"] == ids[1]
    assert list(manager.get_unreadable_tasks()) == [ids[0]]
    assert '"cups": 1e999' in state_file.read_text()


@pytest.mark.parametrize("layout", ["ours", "one_line"])
def test_two_tasks_of_one_id_are_both_set_aside_and_kept(
    make: Any, state_file: Path, layout: str
) -> None:
    state_file.parent.mkdir()
    state_file.write_text(
        document(GOOD % 7, layout).replace('"good_2"', '"bad"').replace('"good_1"', '"good"')
    )
    manager = make()
    assert manager.get_unreadable_tasks() == {"bad": "its id occurs twice"}
    assert manager.get_next_task("ada")["id"] == "good"
    assert manager.get_next_task("ada") is None
    assert state_file.read_text().count('"bad"') == 2
    state_file.write_text(state_file.read_text().replace('"bad"', '"mended"', 1))
    assert manager.get_next_task("ada")["id"] == "mended"
    assert manager.get_next_task("ada")["id"] == "bad"


def test_a_task_spread_over_lines_by_hand_is_read(make: Any, state_file: Path) -> None:
    manager = make()
    task_id = manager.create_task("brew", {"cups": [1, 2]})
    text = state_file.read_text()
    assert "[1, 2]" in text
    state_file.write_text(text.replace("[1, 2]", "[\n1,\n2\n]"))
    assert manager.get_next_task("ada")["data"] == {"cups": [1, 2]}
    assert manager.complete_task(task_id, "ada") is True


# ------------------------------------------------------------------ in SQLite

BAD_COLUMNS: list[tuple[str, Any, str]] = [
    ("data", '{"a": 1e999}', "1e999"),
    ("data", '{"a": NaN}', "NaN"),
    ("data", "no json", "not JSON"),
    ("data", b"\x80\x04", "not text"),
    ("data", "9" * 5000, "too many digits"),
    ("data", DEEP, "nested too deep"),
    ("data", '{"a": 1, "a": 2}', "the name 'a' twice"),
    ("result_data", "{", "not JSON"),
    ("type", b"\xff", "type of task"),
    ("priority", "urgent", "not an integer"),
    ("failures", 1.5, "not an integer"),
    ("created_at", "yesterday", "yesterday"),
    ("parent_id", b"\x00", "parent_id of task"),
]


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize(("column", "value", "told"), BAD_COLUMNS)
def test_a_bad_row_is_set_aside_and_the_others_go_on(
    make_sqlite: Any, tmp_path: Path, column: str, value: Any, told: str, held: bool
) -> None:
    manager = make_sqlite()
    bad, *good = [manager.create_task("brew", {"cups": number}) for number in range(3)]
    change = f"UPDATE task SET {column} = ? WHERE id = ?"
    file = tmp_path / "states" / "tea.db"
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(change, (value, bad))
        if held:
            hold = "UPDATE task SET status = 'in_progress', held_since = 1.0 WHERE id = ?"
            connection.execute(hold, (bad,))
        before = connection.execute("SELECT * FROM task WHERE id = ?", (bad,)).fetchone()
    other = make_sqlite()
    for types in (None, ["brew", "pour"]):
        assert other.get_next_task("ada", types)["id"] == good.pop(0)
        assert manager.get_next_task("ada", ["pour"]) is None
    assert manager.get_next_task("ada") is None
    assert list(manager.get_unreadable_tasks()) == [bad]
    assert told in manager.get_unreadable_tasks()[bad]
    assert len(manager.get_tasks()) == 2
    with pytest.raises(UnreadableTask):
        manager.get_task(bad)
    with contextlib.closing(sqlite3.connect(file)) as connection:
        after = connection.execute("SELECT * FROM task WHERE id = ?", (bad,)).fetchone()
    assert after == before


def test_a_held_row_of_another_program_is_given_out_when_its_time_is_over(
    make_sqlite: Any, tmp_path: Path, clock: Any
) -> None:
    manager = make_sqlite(task_timeout_hours=2)
    task_id = manager.create_task("brew")
    hold = (
        "UPDATE task SET status = 'in_progress', locked_by = 'eve', "
        "locked_at = '2023-11-14T21:13:20Z'"
    )
    file = tmp_path / "states" / "tea.db"
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(hold)
    assert manager.get_next_task("ada") is None
    clock.pass_hours(1.1)
    assert manager.get_next_task("ada")["id"] == task_id


# ------------------------------------------------------------------ the scanner


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "1",
        "{",
        '{"a"}',
        '{"a": }',
        '{"a": 1,}',
        "{,}",
        '{"a": 1} 2',
        '{"a": 1}}',
        '{"a": [1}',
        '{"a": 01}',
        '{"a": 1.}',
        '{"a": nope}',
        '{"a": "\n"}',
        '{"a": "\\x"}',
        "{1: 2}",
        '{"a": 1 "b": 2}',
        '{"a" "b": 2}',
        '{"a": {"b": 1, }}',
        '{"a": [,]}',
        '{"a": "',
    ],
)
def test_what_is_no_object_is_not_cut(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        split_members(text)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"a": 1},
        {"a": {"b": [1, {"c": []}], "d": {}}, "e": []},
        {"": "", '\\"': "\u2028[{\\"},
        {"a": [[], [[1.5e3, -2, True, None]]]},
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_members_are_cut_as_they_stand(value: Any, indent: int | None) -> None:
    members = split_members(json.dumps(value, indent=indent))
    assert {json.loads(name): json.loads(text) for name, text in members} == value
    assert all("\n" not in text for _, text in members)


def test_depth_is_that_of_brackets_outside_texts() -> None:
    assert find_depth(b'{"a": "[[[", "b": [[1], {"\\"{": []}]}') == 4
    assert find_depth(DEEP.encode()) == 20_000


def test_tasks_as_deep_as_may_be_are_worked_on(make: Any, state_file: Path) -> None:
    deep = "[" * 190 + "]" * 190
    state_file.parent.mkdir()
    state_file.write_text(document(PENDING + f'"d": {deep}}}', "ours"))
    manager = make()
    limit = sys.getrecursionlimit()
    for task_id in ("good_1", "bad", "good_2"):
        assert manager.get_next_task("ada")["id"] == task_id
        assert manager.complete_task(task_id, "ada") is True
    assert sys.getrecursionlimit() == limit
