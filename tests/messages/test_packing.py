"""Results are packed on a path of their own, by packers that are used again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from muster.messages import EncodeError, Task, TaskAssignment, TaskResult, encode_message
from muster.messages.codec import encode_task, pack_task
from muster.messages.values import pack_scalars
from pydantic import field_serializer

NEEDED = {"task_id": 7, "worker": "Asha", "success": True}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {}),
        ({"execution_time": 0.0, "attempt": 1, "error_message": None, "output": None}, {}),
        ({"execution_time": -0.0}, {}),
        ({"execution_time": 0.25, "output": 12}, {"execution_time": 0.25, "output": 12}),
        ({"output": 0}, {"output": 0}),
        ({"output": ""}, {"output": ""}),
        ({"output": False}, {"output": False}),
        ({"output": {}}, {"output": {}}),
        ({"output": [1, {"a": b"b"}]}, {"output": [1, {"a": b"b"}]}),
        ({"output": (1, 2)}, {"output": [1, 2]}),
        ({"attempt": 3}, {"attempt": 3}),
        ({"error_message": ""}, {"error_message": ""}),
        ({"error_message": "no", "attempt": 2}, {"error_message": "no", "attempt": 2}),
    ],
)
def test_a_result_is_sent_with_what_differs_from_its_defaults(
    given: dict[str, Any], sent: dict[str, Any]
) -> None:
    packed = encode_message(TaskResult(**NEEDED, **given))
    assert msgpack.unpackb(packed) == ["TaskResult", {**NEEDED, **sent}]


@pytest.mark.parametrize(
    ("unvalidated", "sent"),
    [
        ({"task_id": "a", "worker": "Asha"}, {"task_id": "a", "worker": "Asha"}),
        ({**NEEDED, "execution_time": 2}, {**NEEDED, "execution_time": 2}),
        ({**NEEDED, "execution_time": 0}, NEEDED),
        ({**NEEDED, "attempt": True}, NEEDED),
        ({**NEEDED, "attempt": "x"}, {**NEEDED, "attempt": "x"}),
        ({**NEEDED, "worker": ["Asha"]}, {**NEEDED, "worker": ["Asha"]}),
    ],
)
def test_a_result_that_evaded_its_rules_is_sent_as_it_is(
    unvalidated: dict[str, Any], sent: dict[str, Any]
) -> None:
    packed = encode_message(TaskResult.model_construct(**unvalidated))
    assert msgpack.unpackb(packed) == ["TaskResult", sent]


def test_a_value_that_cannot_be_packed_leaves_nothing_behind() -> None:
    for _ in range(3):
        with pytest.raises(EncodeError, match="OverflowError"):
            pack_scalars(["begun", 2**64])
        assert pack_scalars(["next"]) == b"\x91\xa4next"


def test_threads_that_pack_at_once_do_not_mix() -> None:
    read_again: set[bool] = set()

    def pack_often(number: int) -> None:
        value = [number, "x" * number, {"n": number}]
        for _ in range(300):
            read_again.add(msgpack.unpackb(pack_scalars(value)) == value)

    threads = [threading.Thread(target=pack_often, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_again == {True}


class _PacksInside(dict[str, int]):
    def items(self) -> Any:
        assert pack_scalars("inside") == b"\xa6inside"
        return super().items()


def test_what_is_packed_while_another_is_packed_does_not_mix() -> None:
    assert pack_scalars(["outside", _PacksInside(a=1)]) == b"\x92\xa7outside\x81\xa1a\x01"


class Reversed(Task):
    """A user's own task, which says itself how a field of it is written."""

    word: str = ""

    @field_serializer("word")
    def _turn(self, word: str) -> str:
        return word[::-1]


@pytest.mark.parametrize(
    "pack_it",
    [encode_task, pack_task, lambda task: encode_message(TaskAssignment(task=task))],
    ids=["kept", "packed once", "assigned"],
)
def test_a_users_class_is_written_as_it_says_itself(
    pack_it: Callable[[Task], bytes | None],
) -> None:
    packed = pack_it(Reversed(id=1, description="any", word="tea"))
    assert packed is not None
    assert b"aet" in packed
    assert b"tea" not in packed
