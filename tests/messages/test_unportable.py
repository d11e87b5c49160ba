"""What msgpack can't encode is refused where it is sent, and its place is named."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

import msgpack
import pytest
from muster.messages import EncodeError, PriorityTask, Task, TaskAssignment, TaskResult
from muster.messages.codec import encode_message, pack
from muster.messages.extent import MAX_NESTING, MAX_VALUES
from pydantic import BaseModel

PLAIN = "use None, bool, int, float, str, bytes, list or dict"
KEYS = "keys must be text, bytes, numbers, bools or None"
ZONE = "give it a time zone, and a year from 1 to 9999 in UTC"


class Opaque:
    def __repr__(self) -> str:
        return "<opaque>"


class Quarrelsome(Opaque):
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise KeyError("I equal nobody")


class Point(NamedTuple):
    x: object
    y: object


@dataclass
class Reading:
    value: object


class Note(BaseModel):
    text: str
    inside: object = None


def _result(output: object) -> TaskResult:
    return TaskResult(task_id=7, worker="Asha", success=True, output=output)


def _complaint(message: BaseModel) -> str:
    with pytest.raises(EncodeError) as caught:
        encode_message(message)
    return str(caught.value)


def _nested(levels: int, core: object = None) -> object:
    for _ in range(levels):
        core = [core]
    return core


EARLY = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))


@pytest.mark.parametrize(
    ("output", "complaint"),
    [
        (Opaque(), f"<opaque> (Opaque) at output: {PLAIN}"),
        (Quarrelsome(), f"<opaque> (Quarrelsome) at output: {PLAIN}"),
        ({"k": [1, Opaque()]}, f"<opaque> (Opaque) at output['k'][1]: {PLAIN}"),
        ([[{7: {b"b": Opaque()}}]], f"<opaque> (Opaque) at output[0][0][7][b'b']: {PLAIN}"),
        ([{1, 2}], f"{{1, 2}} (set) at output[0]: {PLAIN}"),
        (3j, f"3j (complex) at output: {PLAIN}"),
        (Point(1, Opaque()), f"<opaque> (Opaque) at output[1]: {PLAIN}"),
        (Reading(Opaque()), f"<opaque> (Opaque) at output['value']: {PLAIN}"),
        (Note(text="a", inside=Opaque()), f"<opaque> (Opaque) at output['inside']: {PLAIN}"),
        (
            [2**64],
            "18446744073709551616 (int) at output[0]: integers must fit into 64 bits",
        ),
        (
            {"k": -(2**63) - 1},
            "-9223372036854775809 (int) at output['k']: integers must fit into 64 bits",
        ),
        (
            "\ud800",
            "'\\ud800' (str) at output: text must be valid Unicode, without lone surrogates",
        ),
        (
            datetime(2026, 1, 1),  # noqa: DTZ001
            f"datetime.datetime(2026, 1, 1, 0, 0) (datetime) at output: {ZONE}",
        ),
        ({"k": {(1, 2): 3}}, f"the key (1, 2) (tuple) at output['k']: {KEYS}"),
        ({frozenset({1}): 3}, f"the key frozenset({{1}}) (frozenset) at output: {KEYS}"),
        ({2**64: 1}, f"the key 18446744073709551616 (int) at output: {KEYS}"),
    ],
)
def test_the_value_its_place_and_the_rule_are_named(output: object, complaint: str) -> None:
    assert _complaint(_result(output)) == (
        f"TaskResult of task 7 can't be sent: msgpack can't encode {complaint}"
    )


def test_a_moment_before_the_year_1_in_utc_is_refused_with_its_place() -> None:
    assert _complaint(_result([EARLY])).endswith(f"(datetime) at output[0]: {ZONE}")


def test_a_place_in_a_task_is_named_as_the_task_has_it() -> None:
    task = Task(id="t1", description="d", data={"rows": [1, Opaque()]})
    assert _complaint(TaskAssignment(task=task)) == (
        "TaskAssignment of task 't1' can't be sent: "
        f"msgpack can't encode <opaque> (Opaque) at task.data['rows'][1]: {PLAIN}"
    )


def test_a_place_in_a_task_is_named_even_if_pydantic_gives_up_first() -> None:
    task = PriorityTask(id=1, description="d", priority=1, data=Quarrelsome())
    assert _complaint(TaskAssignment(task=task)).endswith(f"at task.data: {PLAIN}")


def test_a_place_in_the_inputs_is_named() -> None:
    assignment = TaskAssignment(task=Task(id=2, description="d"), inputs={1: [Opaque()]})
    assert _complaint(assignment).endswith(f"<opaque> (Opaque) at inputs[1][0]: {PLAIN}")


def test_a_place_in_a_users_own_message_is_named() -> None:
    assert _complaint(Note(text="a", inside={"k": Opaque()})) == (
        f"Note can't be sent: msgpack can't encode <opaque> (Opaque) at inside['k']: {PLAIN}"
    )


@pytest.mark.parametrize("kind", [list, dict])
def test_a_value_that_holds_itself_is_refused(kind: type) -> None:
    value = kind()
    if isinstance(value, list):
        value.append(value)
    else:
        value["me"] = value
    assert _complaint(_result(value)).endswith("is nested over 196 levels deep, or contains itself")


def test_what_is_nested_as_deeply_as_may_be_is_sent() -> None:
    assert encode_message(_result(_nested(MAX_NESTING - 4, 7)))


@pytest.mark.parametrize("levels", [MAX_NESTING, 250, 300, 600, 5000])
def test_what_is_nested_too_deeply_is_refused(levels: int) -> None:
    complaint = _complaint(_result(_nested(levels)))
    assert complaint.endswith("is nested over 196 levels deep, or contains itself")
    assert len(complaint) < 200


def test_a_fault_below_many_levels_is_found() -> None:
    assert "<opaque> (Opaque) at output[0][0]" in _complaint(_result(_nested(190, Opaque())))


def test_a_huge_culprit_is_shown_in_short() -> None:
    assert len(_complaint(_result({"k" * 10_000: {"\ud800" * 10**6: 1}}))) < 400


@pytest.mark.slow
def test_more_values_than_can_be_received_are_not_sent() -> None:
    assert _complaint(_result([0] * MAX_VALUES)).endswith(
        "it can't be decoded again: more than 2,000,000 values; pass large data by reference"
    )


@pytest.mark.parametrize(
    "value", [msgpack.ExtType(5, b"x"), msgpack.Timestamp(2**62, 0), {msgpack.ExtType(5, b""): 1}]
)
def test_what_msgpack_packs_but_nobody_reads_is_not_packed(value: object) -> None:
    with pytest.raises(EncodeError, match="can't be decoded again"):
        pack(value)
