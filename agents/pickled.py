"""Reads one of our own messages out of a pickle without unpickling it.

The tutorial's agents send their results as `self.broadcast(pickle.dumps(result))`. Messages of
ours pickle as a call of our codec on msgpack bytes (see `Message.__reduce__`), so the bytes can be
picked out of the pickle's opcodes; nothing in it is ever executed. A pickle in which there is
anything else is not ours to read.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from ..messages import DecodeError, Message, decode_message
from ..messages.codec import decode_as

_MODULE = decode_message.__module__
_CALLS = {decode_message.__name__: "TUPLE1", decode_as.__name__: "TUPLE2"}
_MARK = _MODULE.encode()
_HEAD_BYTES = 200
_BYTES = frozenset({"SHORT_BINBYTES", "BINBYTES", "BINBYTES8"})
_NAMES = frozenset({"SHORT_BINUNICODE", "BINUNICODE"})
_SILENT = frozenset({"PROTO", "FRAME", "MEMOIZE", "BINPUT", "LONG_BINPUT"})


def message_inside(data: bytes) -> BaseModel | None:
    """The message of ours that these bytes are a pickle of, or None."""
    if not data.startswith(b"\x80") or _MARK not in data[:_HEAD_BYTES]:
        return None
    try:
        encoded = _bytes_of_call(data)
        return None if encoded is None else decode_message(encoded, _kinds_of_users())
    except (ValueError, DecodeError):
        return None


def _bytes_of_call(data: bytes) -> bytes | None:
    """The bytes that a pickle hands to our codec, if that is all that the pickle does."""
    import pickletools  # noqa: PLC0415 - most agents never see a pickle

    names: list[str] = []
    encoded: bytes | None = None
    steps: list[str] = []
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in _SILENT:
            continue
        if opcode.name in _NAMES:
            names.append(str(argument))
            continue
        if opcode.name == "GLOBAL":
            names += str(argument).split(" ")
        elif opcode.name in _BYTES and isinstance(argument, bytes):
            encoded = argument
        steps.append("BYTES" if opcode.name in _BYTES else opcode.name)
    module, name = names[:2] if len(names) > 1 else ("", "")
    take = _CALLS.get(name)
    calls = steps[-3:] == [take, "REDUCE", "STOP"]
    given = [step.removeprefix("STACK_") for step in steps[:-3]]
    is_ours = module == _MODULE and calls and given[:2] == ["GLOBAL", "BYTES"]
    return encoded if is_ours and given[2:] == ["GLOBAL"] * (take == "TUPLE2") else None


def _kinds_of_users() -> dict[str, type[BaseModel]]:
    return {kind.__qualname__: kind for kind in _subclasses_of(Message)}


def _subclasses_of(kind: type[Message]) -> Iterator[type[Message]]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses_of(each)
