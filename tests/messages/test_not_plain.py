"""What has no plain form is refused where it is sent, and its place is named."""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import NamedTuple

import msgpack
import pytest
from muster.messages import EncodeError, PriorityTask, Task, TaskAssignment, TaskResult
from muster.messages.codec import encode_message, pack, pack_task
from muster.messages.extent import MAX_NESTING, MAX_VALUES
from muster.messages.plain_data import to_plain
from muster.messages.wording import show
from pydantic import BaseModel, SecretStr

PLAIN = "which has no plain form; use None, bools, numbers, text, bytes, dates, lists, dicts, sets"
KEYS = "keys must be text, bytes, numbers, bools, None, or values with such a plain form"


class Opaque:
    def __repr__(self) -> str:
        return "<opaque>"


class Quarrelsome(Opaque):
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise KeyError("I equal nobody")


class Kind(Enum):
    ONE = 1


class Point(NamedTuple):
    x: object
    y: object


@dataclass
class Reading:
    value: object
    unit: str = "g"


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


def of(kind: type, shown: str) -> str:
    return f"{shown} is of the class {kind.__module__}.{kind.__qualname__}, {PLAIN}"


def numbers(*arguments: int) -> Iterator[int]:
    yield from arguments


async def nothing() -> None: ...


EARLY = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))
OPAQUE = of(Opaque, "<opaque>")
GENERATOR = numbers()
SECRET = SecretStr("key")


@pytest.mark.parametrize(
    ("output", "complaint"),
    [
        (Opaque(), f"output: {OPAQUE}"),
        (Quarrelsome(), f"output: {of(Quarrelsome, '<opaque>')}"),
        ({"k": [1, Opaque()]}, f"output.k[1]: {OPAQUE}"),
        ({"items": [1, 2, 3, {"when": Opaque()}]}, f"output.items[3].when: {OPAQUE}"),
        ({"no name": Opaque()}, f"output['no name']: {OPAQUE}"),
        ([[{7: {b"b": Opaque()}}]], f"output[0][0][7][b'b']: {OPAQUE}"),
        ({"k": {Opaque(): 1}}, f"output.k: it has the key <opaque> (Opaque); {KEYS}"),
        (Point(1, Opaque()), f"output[1]: {OPAQUE}"),
        (Reading(Opaque()), f"output.value: {OPAQUE}"),
        (Note(text="a", inside=Opaque()), f"output.inside: {OPAQUE}"),
        ([Note(text="a", inside=Reading({1: Opaque()}))], f"output[0].inside.value[1]: {OPAQUE}"),
        (deque([Opaque()]), f"output[0]: {OPAQUE}"),
        (frozenset({Opaque()}), f"output[0]: {OPAQUE}"),
        (3j, f"output: 3j is of the class complex, {PLAIN}"),
        ([2**64], "output[0]: 18446744073709551616 does not fit into 64 bits; pass"),
        ({"k": -(2**63) - 1}, "output.k: -9223372036854775809 does not fit into 64 bits; pass"),
        ("\ud800", "output: '\\ud800' is not valid Unicode: it has lone surrogates; pass bytes"),
        ({"\ud800": 1}, "output['\\ud800']: '\\ud800' is not valid Unicode"),
        (EARLY, f"output: {show(EARLY)} has a year in UTC that is not from 1 to 9999"),
        ({"k": {(1, 2): 3}}, f"output.k: it has the key (1, 2) (tuple); {KEYS}"),
        ({frozenset({1}): 3}, f"output: it has the key frozenset({{1}}) (frozenset); {KEYS}"),
        ({2**64: 1}, f"output: it has the key 18446744073709551616 (int); {KEYS}"),
        ({1: "a", Kind.ONE: "b"}, "output: two of its keys have the plain form 1; use keys"),
        (GENERATOR, f"output: {GENERATOR!r} is of the class generator, which has no plain form; "),
        (range(3), "output: range(0, 3) is of the class range, which has no plain form; pass a"),
        (print, "output: <built-in function print> is of the class builtin_function_or_method"),
        (Opaque, f"output: {Opaque!r} is of the class type, which has no plain form; pass what"),
        ({"key": SECRET}, "output.key: SecretStr('**********') is of the class pydantic.types.Se"),
        (io.StringIO(), "output: <_io.StringIO object at 0x"),
        (threading.Lock(), "output: <unlocked _thread.lock object at 0x"),
    ],
)
def test_the_value_its_place_and_the_rule_are_named(output: object, complaint: str) -> None:
    told = _complaint(_result(output))
    assert told.startswith(f"TaskResult of task 7 can't be sent: {complaint}")
    assert len(told) < 450
    with pytest.raises(EncodeError) as caught:
        to_plain(output, "output")
    assert told.endswith(f": {caught.value}")


def test_a_coroutine_is_refused_with_what_to_do() -> None:
    coroutine = nothing()
    assert "; await it, and pass what it returns" in _complaint(_result([coroutine]))
    coroutine.close()


def test_a_place_in_a_task_is_named_as_the_user_gave_it() -> None:
    task = Task(id="t1", description="d", data={"rows": [1, Opaque()]})
    assert _complaint(TaskAssignment(task=task)).startswith(
        f"TaskAssignment of task 't1' can't be sent: data.rows[1]: {OPAQUE}"
    )
    with pytest.raises(EncodeError, match=r"task 't1' can't be sent: data.rows\[1\]: <opaque>"):
        pack_task(task)


def test_a_place_in_a_task_is_named_even_if_it_can_not_be_compared() -> None:
    task = PriorityTask(id=1, description="d", priority=1, data=Quarrelsome())
    assert f"data: {of(Quarrelsome, '<opaque>')}" in _complaint(TaskAssignment(task=task))


def test_a_place_in_the_inputs_is_named() -> None:
    assignment = TaskAssignment(task=Task(id=2, description="d"), inputs={1: [Opaque()]})
    assert f"can't be sent: inputs[1][0]: {OPAQUE}" in _complaint(assignment)


def test_a_place_in_a_reviewed_result_is_named() -> None:
    assignment = TaskAssignment(task=Task(id=2, description="d"), reviewed=_result([Opaque()]))
    assert f"can't be sent: reviewed.output[0]: {OPAQUE}" in _complaint(assignment)


def test_a_place_in_a_users_own_message_is_named() -> None:
    assert _complaint(Note(text="a", inside={"k": Opaque()})).startswith(
        f"Note can't be sent: inside.k: {OPAQUE}"
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
    told = _complaint(_result(_nested(190, Opaque())))
    assert "output[0][0]" in told
    assert OPAQUE in told


def test_a_huge_culprit_is_shown_in_short() -> None:
    assert len(_complaint(_result({"k" * 10_000: {"\ud800" * 10**6: 1}}))) < 450


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
