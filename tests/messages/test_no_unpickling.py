"""A pickle is never opened, wherever it turns up; a plain Ceylon agent opens ours to nothing."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from muster.messages import (
    DecodeError,
    Flaw,
    Heartbeat,
    TaskResult,
    decode_message,
    encode_message,
)
from muster.messages.codec import pack, unpack
from muster.messages.frame import (
    Datagram,
    Frame,
    Section,
    decode_frame,
    decode_letter,
    encode_frame,
    encode_letter,
)

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


class _Trap:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.fixture
def sprung(tmp_path: Path) -> Path:
    return tmp_path / "sprung"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_trap_springs_when_it_is_unpickled(protocol: int, sprung: Path) -> None:
    pickle.loads(pickle.dumps(_Trap(sprung), protocol))
    assert sprung.exists()


@pytest.mark.parametrize("reader", [decode_frame, decode_letter, decode_message, unpack])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_is_refused_and_not_opened(
    reader: Callable[[bytes], object], protocol: int, sprung: Path
) -> None:
    with pytest.raises(DecodeError):
        reader(pickle.dumps(_Trap(sprung), protocol))
    assert not sprung.exists()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_inside_a_frame_of_ours_is_refused_and_not_opened(
    protocol: int, sprung: Path
) -> None:
    trap = pickle.dumps(_Trap(sprung), protocol)
    message = encode_message(TaskResult(task_id=1, worker="A", success=True, output=trap))
    frame = Frame("s", (Section("t", trap), Section("t", encode_letter(Datagram((trap, message))))))
    bare, wrapped = decode_frame(encode_frame(frame)).sections
    with pytest.raises(DecodeError):
        decode_letter(bare.letter)
    first, second = decode_letter(wrapped.letter).messages
    with pytest.raises(DecodeError):
        decode_message(first)
    assert decode_message(second).model_dump()["output"] == trap
    assert not sprung.exists()


@pytest.mark.parametrize("protocol", PROTOCOLS[2:])
def test_a_plain_agents_pickle_is_counted_as_one(protocol: int) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_frame(pickle.dumps({"a": 1}, protocol))
    assert caught.value.flaw is Flaw.PICKLE


@pytest.mark.parametrize("size", [0, 100_000], ids=["plain", "compressed"])
def test_to_an_unpickler_a_frame_is_none(size: int) -> None:
    frame = encode_frame(Frame("s", (Section("t", bytes(size)),)))
    assert pickle.loads(frame) is None


def test_a_message_pickles_as_a_call_of_our_codec_and_nothing_else() -> None:
    message = Heartbeat(running=3)
    pickled = pickle.dumps(message)
    assert pickle.loads(pickled) == message
    assert encode_message(message) in pickled


def test_a_message_of_pickled_kind_is_an_unknown_kind() -> None:
    with pytest.raises(DecodeError, match="unknown_kind"):
        decode_message(pack(["builtins.eval", {"source": "1"}]))
