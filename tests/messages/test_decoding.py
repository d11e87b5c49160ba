"""Bytes that are no message, or one that breaks a rule, and what is said of them."""

from __future__ import annotations

import pytest
from muster.messages import (
    MAX_MESSAGE_BYTES,
    DecodeError,
    EncodeError,
    Flaw,
    Heartbeat,
    Task,
    TaskAssignment,
    TaskResult,
    decode_message,
    encode_message,
)
from muster.messages.codec import pack

SAMPLE = encode_message(
    TaskAssignment(
        task=Task(id=7, description="Count words", type="count", data={"lines": [1, "a", b"b"]}),
        assigned_at=1_700_000_000,
        timeout=30.0,
        worker="Asha",
        inputs={3: {"words": 12}},
    )
)


def _refusal(value: object) -> str:
    with pytest.raises(DecodeError) as caught:
        decode_message(pack(value))
    return str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "Task",
        [],
        ["Goodbye"],
        ["Goodbye", []],
        ["Goodbye", {}, 1],
        [1, {}],
        {"kind": "Goodbye"},
    ],
)
def test_what_is_no_kind_with_its_fields_is_garbage(value: object) -> None:
    assert _refusal(value) == "garbage: msgpack, but not [kind, fields]"


def test_a_field_without_a_name_is_invalid() -> None:
    assert _refusal(["Goodbye", {1: 2}]) == "invalid: 1: 1: Keys should be strings"


def test_an_unknown_kind_is_named_in_short() -> None:
    assert _refusal(["x\n" * 10_000, {}]).startswith("unknown_kind: no message is called 'x\\nx\\n")
    assert len(_refusal(["x\n" * 10_000, {}])) < 300


@pytest.mark.parametrize("kind", ["Task", "Message", "BaseModel", "object", "__import__"])
def test_a_class_that_is_no_message_is_an_unknown_kind(kind: str) -> None:
    assert _refusal([kind, {}]) == f"unknown_kind: no message is called {kind!r}"


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"running": -1}, "running: -1: Input should be greater than or equal to 0"),
        ({"walking": 1}, "walking: 1: Extra inputs are not permitted"),
        (
            {"running": "x"},
            "running: 'x': Input should be a valid integer, unable to parse string as an integer",
        ),
    ],
)
def test_a_field_that_breaks_its_rule_is_named(fields: object, complaint: str) -> None:
    assert _refusal(["Heartbeat", fields]) == f"invalid: {complaint}"


def test_an_assignment_without_a_task_is_garbage() -> None:
    assert _refusal(["TaskAssignment", {}]).startswith("garbage: ")


def test_an_assignment_of_a_task_without_a_class_is_garbage() -> None:
    assert _refusal(["TaskAssignment", {"task": {"id": 1}}]).startswith("garbage: ")


def test_an_assignment_of_what_is_no_task_is_an_unknown_kind() -> None:
    refusal = _refusal(["TaskAssignment", {"task": ["Heartbeat", {}]}])
    assert refusal.startswith("unknown_kind: no task class is called 'Heartbeat' here")


@pytest.mark.parametrize(
    ("kind", "task", "others", "complaint"),
    [
        (
            "Task",
            {"id": 1, "description": "any", "difficulty": 99},
            {},
            "difficulty: 99: must be an integer from 1 to 10",
        ),
        (
            "Task",
            {"id": 1, "description": "any", "colour": 1},
            {},
            "colour: 1: Extra inputs are not permitted",
        ),
        (
            "Task",
            {"id": 1, "description": " "},
            {"attempt": 0},
            "description: ' ': must be text that is not blank, 10,000 characters at most",
        ),
        (
            "Task",
            {"id": 1, "description": "any"},
            {"attempt": 0},
            "attempt: 0: Input should be greater than or equal to 1",
        ),
        (
            "PriorityTask",
            {"id": 1, "description": "any", "priority": 0},
            {},
            "priority: 0: Input should be greater than or equal to 1",
        ),
        ("Task", {"id": 1, "description": "any"}, {1: 2}, "1: 1: Keys should be strings"),
    ],
)
def test_a_fault_in_an_assignment_is_told_of_the_part_it_is_in(
    kind: str, task: object, others: dict[object, object], complaint: str
) -> None:
    assert _refusal(["TaskAssignment", {"task": [kind, task], **others}]) == f"invalid: {complaint}"


def test_an_assignment_may_name_its_task_by_other_names() -> None:
    packed = pack(["TaskAssignment", {"task": ["Task", {"task_id": 3, "task_data": [1]}]}])
    decoded = decode_message(packed)
    assert decoded == TaskAssignment(task=Task(id=3, description="task 3", data=[1]))


def test_a_hundred_thousand_bad_fields_make_one_short_complaint() -> None:
    refusal = _refusal(["Heartbeat", {f"f{n}": n for n in range(100_000)}])
    assert refusal == "invalid: Heartbeat: 100,000 invalid values, too many to list"


def test_a_message_over_the_limit_is_not_sent() -> None:
    result = TaskResult(task_id=7, worker="A", success=True, output=b"x" * MAX_MESSAGE_BYTES)
    with pytest.raises(EncodeError) as caught:
        encode_message(result)
    assert str(caught.value).startswith("TaskResult of task 7 can't be sent: it has 67,108,9")
    assert str(caught.value).endswith("the limit is 67,108,864; pass large data by reference")


def test_a_message_over_the_limit_is_not_read() -> None:
    with pytest.raises(DecodeError) as caught:
        decode_message(bytes(MAX_MESSAGE_BYTES + 1))
    assert caught.value.flaw is Flaw.OVERSIZED


def test_a_message_cut_short_anywhere_is_refused() -> None:
    for length in range(len(SAMPLE)):
        with pytest.raises(DecodeError):
            decode_message(SAMPLE[:length])


def test_a_message_with_something_after_it_is_refused() -> None:
    with pytest.raises(DecodeError):
        decode_message(SAMPLE + b"\x00")


def test_a_message_with_any_bit_flipped_is_a_message_or_a_decode_error() -> None:
    for position in range(len(SAMPLE) * 8):
        flipped = bytearray(SAMPLE)
        flipped[position // 8] ^= 1 << position % 8
        try:
            message = decode_message(bytes(flipped))
        except DecodeError:
            continue
        assert isinstance(message, TaskAssignment)


def test_fields_of_default_value_take_no_room() -> None:
    assert encode_message(Heartbeat()) == pack(["Heartbeat", {}])
