"""Which JSON is refused, in which words, and that every place which reads JSON refuses it alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.command.tasks_file import read_tasks
from muster.agents.command.why import ask_report
from muster.agents.runtime.strict_json import JsonFault, decode_json, describe_json_fault
from muster.agents.skills.skills_file import read_skills
from muster.agents.state_file.json_text import InvalidStateDocument, parse_json
from muster.agents.trace.file import read_trace_file
from muster.messages import InvalidInput, InvalidTrace

MANY_DIGITS = "9" * 5_000

FAULTS = [
    ('{"a": NaN}', "line 1, column 7: NaN is not a JSON number"),
    ('{"a":\n [1, Infinity]}', "line 2, column 6: Infinity is not a JSON number"),
    ('{"a": -Infinity}', "line 1, column 7: -Infinity is not a JSON number"),
    ('{"a": 1e400}', "line 1, column 7: the number 1e400 is too large"),
    ('{"a": [-1e999]}', "line 1, column 8: the number -1e999 is too large"),
    (
        f'{{"a": {MANY_DIGITS}}}',
        f"line 1, column 7: the number {MANY_DIGITS[:20]}… has too many digits",
    ),
    ('{"a": 1, "a": 1}', "line 1, column 10: an object has the name 'a' twice"),
    ('{"a": 1,\n "\\u0061": 2}', "line 2, column 2: an object has the name 'a' twice"),
    ('[{"a": {}}, {"b": {"c": 1, "c": 2}}]', "line 1, column 28: an object has the name 'c' twice"),
    ('{"a": "NaN {\\" 1e400", "b": NaN}', "line 1, column 29: NaN is not a JSON number"),
    ("", "line 1, column 1: Expecting value"),
    ("[1] 2", "line 1, column 5: there is more text after its end"),
    ("[" * 100_000, "line 1, column 1: it is nested too deeply"),
    (b'{"a":\n "\xff"}', "line 2, column 3: the byte 0xff is not UTF-8"),
]


@pytest.mark.parametrize(("text", "reason"), FAULTS, ids=[reason for _, reason in FAULTS])
def test_what_is_refused_is_told_with_its_place(text: str | bytes, reason: str) -> None:
    with pytest.raises(JsonFault) as caught:
        decode_json(text)
    assert describe_json_fault(caught.value) == reason


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "a", "b": {"a": 1}, "c": [{"a": 1}, {"a": 2}]}',
        '{"NaN": "Infinity", "1e400": null}',
        "1e308",
        "-0.0",
        "1e-400",
        str(2**64),
        ' [true, false, null, "\\ud83d\\ude00"] \r\n',
    ],
)
def test_all_other_json_is_read_as_by_python(text: str) -> None:
    assert decode_json(text) == json.loads(text)
    assert decode_json(b"\xef\xbb\xbf" + text.encode()) == json.loads(text)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_what_python_writes_is_read(value: object) -> None:
    assert decode_json(json.dumps(value)) == value


@given(JSON_VALUES, st.sampled_from(["NaN", "-Infinity", "1e400", '{"x": 1, "x": 1}']))
def test_a_fault_is_found_wherever_it_stands(value: object, fault: str) -> None:
    text = f"[{json.dumps(value)}, {fault}]"
    with pytest.raises(JsonFault) as caught:
        decode_json(text)
    assert text.index(fault, len(json.dumps(value))) <= caught.value.pos < len(text)


# ------------------------------------------------------------------------ every reader

HEAD = '{"trace": 1}\n'


def _read_tasks_json(folder: Path, value: str) -> None:
    (folder / "t.json").write_text(f'[{{"id": 1, "data": {value}}}]')
    read_tasks(folder / "t.json")


def _read_tasks_jsonl(folder: Path, value: str) -> None:
    (folder / "t.jsonl").write_text(f'{{"id": 1, "data": {value}}}')
    read_tasks(folder / "t.jsonl")


def _read_tasks_csv(folder: Path, value: str) -> None:
    cell = f"[{value}]".replace('"', '""')
    (folder / "t.csv").write_text(f'id,data\n1,"{cell}"\n')
    read_tasks(folder / "t.csv")


def _read_skills(folder: Path, value: str) -> None:
    (folder / "skills.json").write_text(f'{{"format": {value}}}')
    read_skills(folder / "skills.json")


def _read_report(folder: Path, value: str) -> None:
    (folder / "report.json").write_text(f'{{"tasks": {value}}}')
    ask_report([1], folder / "report.json")


def _read_trace(folder: Path, value: str) -> None:
    (folder / "run.jsonl").write_text(f'{{"run": {value}}}\n')
    read_trace_file(folder / "run.jsonl")


def _read_state(_: Path, value: str) -> None:
    parse_json(f'{{"tasks": {value}}}')


READERS = [
    _read_tasks_json,
    _read_tasks_jsonl,
    _read_tasks_csv,
    _read_skills,
    _read_report,
    _read_trace,
    _read_state,
]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("NaN", "NaN is not a JSON number"),
        ("-Infinity", "-Infinity is not a JSON number"),
        ("1e400", "the number 1e400 is too large"),
        ('{"x": 1, "x": 1}', "an object has the name 'x' twice"),
        (MANY_DIGITS, "has too many digits"),
    ],
)
@pytest.mark.parametrize("read", READERS)
def test_every_reader_of_json_refuses_it_with_its_place(
    read: Callable[[Path, str], None], value: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises((InvalidInput, InvalidTrace, InvalidStateDocument)) as caught:
        read(tmp_path, value)
    assert reason in str(caught.value)
    assert "column" in str(caught.value)
