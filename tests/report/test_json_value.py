"""How values that JSON lacks are told in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.report.json_value import MAX_DEPTH, to_json_value
from muster.agents.report.model import RunReport, TaskReport
from muster.messages import TaskStatus

Task = Callable[..., TaskReport]
Run = Callable[..., RunReport]

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(st.characters())
    | st.binary(max_size=20)
    | st.datetimes(timezones=st.just(timezone.utc))
)
payloads = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(scalars, inner, max_size=4),
    max_leaves=12,
)


def refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is not JSON")


@given(payloads)
def test_every_payload_becomes_strict_json(payload: Any) -> None:
    text = json.dumps(to_json_value(payload), allow_nan=False)
    json.loads(text.encode(), parse_constant=refuse)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(json_values)
def test_what_json_can_hold_stays_as_it_is(value: Any) -> None:
    assert to_json_value(value) == value


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b"\x00\xff", {"$base64": "AP8="}),
        (bytearray(b"a"), {"$base64": "YQ=="}),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (datetime(2026, 11, 21, 7, 30, tzinfo=timezone.utc), "2026-11-21T07:30:00+00:00"),
        ((1, (2,)), [1, [2]]),
        ({1: "a", None: "b", b"k": "c"}, {"1": "a", "None": "b", "b'k'": "c"}),
        ({1: "a", "1": "b"}, {"$items": [[1, "a"], ["1", "b"]]}),
        ("half a pair: \ud83d", "half a pair: \\ud83d"),
        ({"\ud83d": 1}, {"\\ud83d": 1}),
        (frozenset({1}), [1]),
        (range(3), "range(0, 3)"),
    ],
)
def test_what_json_lacks_is_told_in_another_form(payload: Any, told: Any) -> None:
    assert to_json_value(payload) == told


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_nesting_is_kept_to_its_limit() -> None:
    assert to_json_value(nested(MAX_DEPTH)) == nested(MAX_DEPTH)


def test_deeper_nesting_is_replaced_by_a_remark() -> None:
    assert f"(nested deeper than {MAX_DEPTH})" in json.dumps(to_json_value(nested(500)))


TASK: dict[str, Any] = {
    "id": 1,
    "description": "a",
    "type": "",
    "difficulty": 1,
    "priority": 0,
    "status": TaskStatus.COMPLETED,
    "worker": "Ada",
    "attempts": 1,
    "success": True,
    "execution_time": 1.0,
    "waited": 0.0,
    "error_message": None,
    "why": [],
    "depends_on": [],
    "parent_id": None,
}


@given(payloads)
def test_a_report_with_any_output_becomes_json_that_is_read_back(payload: Any) -> None:
    report = TaskReport(**TASK, output=payload)
    text = report.model_dump_json()
    json.loads(text, parse_constant=refuse)
    assert TaskReport.model_validate_json(text).output == to_json_value(payload)


def test_in_python_an_output_stays_what_the_handler_returned(task_report: Task) -> None:
    assert task_report(1, output={1: b"x"}).output == {1: b"x"}
    assert task_report(1, output={1: b"x"}).model_dump()["output"] == {1: b"x"}


def test_a_report_is_read_back_from_its_json(run_report: Run, task_report: Task) -> None:
    report = run_report([task_report(1, output=[1, "a"]), task_report("1", depends_on=[1])])
    assert RunReport.model_validate_json(report.model_dump_json()) == report
