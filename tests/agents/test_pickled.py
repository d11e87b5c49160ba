"""Messages of ours are read out of pickles that hold nothing else, and nothing is unpickled."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from muster.agents.transport.pickle_compat import message_inside
from muster.messages import InvalidInput, Message, Task, TaskAssignment, TaskResult

RESULT = TaskResult(1, "Ada", True, output=b"bytes")
PROTOCOLS = [3, 4, 5]


@dataclass
class OwnResult(TaskResult):
    note: str = ""


class Remark(Message):
    text: str


def another_module_with_a_remark() -> type[Message]:
    """As a second module of the program would define it, under the same name."""
    other = {"__module__": "elsewhere", "__annotations__": {"number": int}}
    return type("Remark", (Message,), other)


OTHER_REMARK = another_module_with_a_remark()


@dataclass
class OwnTask(Task):
    weight: int = 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "message",
    [
        RESULT,
        OwnResult(1, "Ada", False, note="hm"),
        Remark(text="hm"),
        TaskAssignment(OwnTask(1, "a", weight=3)),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_pickle_of_a_message_is_read(message: Message, protocol: int) -> None:
    pickled = pickle.dumps(message, protocol)
    assert message_inside(pickled) == message
    assert type(message_inside(pickled)) is type(message)
    assert pickle.loads(pickled) == message


@pytest.mark.parametrize("given", [None, 3, "text", {"task_id": 1}, object(), bytearray(b"x")])
def test_what_is_neither_bytes_nor_a_message_is_refused(given: object) -> None:
    with pytest.raises(InvalidInput, match="broadcast and send_direct take bytes or a message"):
        message_inside(given)


sprung: list[str] = []


class Trap:
    """Whoever unpickles this calls `sprung.append`."""

    def __init__(self, *others: Any) -> None:
        self.others = others

    def __reduce__(self) -> Any:
        return sprung.append, ("it was unpickled",)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda result: [result],
        lambda result: (result,),
        lambda result: (result, result),
        lambda result: {"result": result},
        lambda result: (result, Trap()),
        lambda result: [Trap(), result],
        lambda _: "decode_message of muster.messages.codec",
        lambda _: b"decode_message of muster.messages.codec",
        lambda _: 7,
    ],
)
def test_a_pickle_of_anything_else_is_not_ours(wrap: Callable[[Any], Any], protocol: int) -> None:
    assert message_inside(pickle.dumps(wrap(RESULT), protocol)) is None
    assert sprung == []


def test_a_part_of_a_pickle_is_not_ours() -> None:
    pickled = pickle.dumps(RESULT)
    assert all(message_inside(pickled[:length]) is None for length in range(len(pickled)))
