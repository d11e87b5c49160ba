"""The bytes on the wire stay as they are, and those of before are still read.

`wire_format.json` holds, for each thing that travels, its bytes with every field set: the last are
today's, those before are what earlier versions sent. A change of the format on purpose, such as a
new field, is written there by

    MUSTER_RENEW_WIRE_FORMAT=1 pytest tests/messages/test_wire_format.py

which adds today's bytes and keeps the earlier ones. Look at the difference before you commit it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from muster.messages import (
    MESSAGE_KINDS,
    PriorityTask,
    Task,
    TaskAssignment,
    decode_message,
    encode_message,
)
from muster.messages.codec import decode_task, encode_task, pack, unpack
from muster.messages.frame import (
    MAGIC,
    Datagram,
    Frame,
    Section,
    Segment,
    decode_frame,
    decode_letter,
    encode_frame,
    encode_letter,
)

from ..every_field import NESTED, make

PINNED_FILE = Path(__file__).with_name("wire_format.json")
RENEW = "MUSTER_RENEW_WIRE_FORMAT"

LETTERS = {
    "Datagram": Datagram((b"one", b"two")),
    "Segment": Segment("conversation", first=8, ack=9, messages=(b"one", b"two")),
}
FRAME = Frame("sender", (Section("to", b"one"), Section("all", b"two")))


class Pinned(NamedTuple):
    """Something that travels, and how it becomes bytes and back."""

    sent: Any
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


NESTED_AS_IT_ARRIVES = unpack(pack(NESTED))

TRAVELS: dict[str, Pinned] = {
    **{
        name: Pinned(make(kind, NESTED_AS_IT_ARRIVES), encode_message, decode_message)
        for name, kind in MESSAGE_KINDS.items()
    },
    "TaskAssignment of a PriorityTask": Pinned(
        make(TaskAssignment, task=make(PriorityTask)), encode_message, decode_message
    ),
    **{
        kind.__name__: Pinned(make(kind), encode_task, decode_task) for kind in (Task, PriorityTask)
    },
    **{name: Pinned(letter, encode_letter, decode_letter) for name, letter in LETTERS.items()},
    "Frame": Pinned(FRAME, encode_frame, decode_frame),
}


def _read_pinned() -> dict[str, list[str]]:
    return json.loads(PINNED_FILE.read_text(encoding="utf-8")) if PINNED_FILE.exists() else {}


@pytest.fixture(scope="module", autouse=True)
def _renew_if_asked() -> None:
    if RENEW not in os.environ:
        return
    pinned = _read_pinned()
    for name, each in TRAVELS.items():
        earlier = pinned.setdefault(name, [])
        today = each.encode(each.sent).hex()
        if today not in earlier[-1:]:
            earlier.append(today)
    PINNED_FILE.write_text(json.dumps(pinned, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def test_all_that_travels_is_pinned() -> None:
    assert set(_read_pinned()) == set(TRAVELS), f"set {RENEW}=1 to write what is new"


@pytest.mark.parametrize("name", TRAVELS)
def test_what_is_sent_today_has_the_pinned_bytes(name: str) -> None:
    sent, encode, _ = TRAVELS[name]
    pinned = bytes.fromhex(_read_pinned()[name][-1])
    assert encode(sent) == pinned, f"if that is on purpose, set {RENEW}=1 and run this again"


@pytest.mark.parametrize("name", TRAVELS)
def test_what_was_ever_sent_is_still_read(name: str) -> None:
    sent, encode, decode = TRAVELS[name]
    for data in map(bytes.fromhex, _read_pinned()[name]):
        arrived = decode(data)
        assert type(arrived) is type(sent)
        # What came later has its default, and is not sent. The order does not matter.
        assert _open(encode(arrived)) == _open(data)


def _open(data: bytes) -> object:
    return data if data.startswith(MAGIC) else unpack(data)
