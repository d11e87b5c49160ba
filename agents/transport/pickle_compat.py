"""Reads one of Muster's own messages out of a pickle without unpickling it.

The tutorial's agents send their results as `self.broadcast(pickle.dumps(result))`. Muster's
messages pickle as a call of its codec on msgpack bytes (see `Message.__reduce__`), so the bytes can
be read from the pickle's opcodes. Nothing in it is ever executed. A pickle that holds anything else
is not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pydantic import BaseModel

from ...messages import DecodeError, InvalidInput, Message, decode_message
from ...messages.codec import decode_as
from ...messages.wording import show

_MODULE = decode_message.__module__
_CALLS = {decode_message.__name__: "TUPLE1", decode_as.__name__: "TUPLE2"}
_MARK = _MODULE.encode()
_HEAD_BYTES = 200
_BYTES = frozenset({"SHORT_BINBYTES", "BINBYTES", "BINBYTES8"})
_NAMES = frozenset({"SHORT_BINUNICODE", "BINUNICODE"})
_SILENT = frozenset({"PROTO", "FRAME", "MEMOIZE", "BINPUT", "LONG_BINPUT"})


def message_inside(data: object) -> BaseModel | None:
    """The message in a pickle; None if the bytes are not a pickle of one of Muster's messages.

    A model that was not pickled is returned as it is.

    Args:
        data: the argument of `broadcast` or `send_direct`.

    Raises:
        InvalidInput: it is neither bytes nor a model.
    """
    if isinstance(data, BaseModel):
        return data
    if not isinstance(data, bytes):
        raise InvalidInput(
            f"{show(data)} can't be sent as it is: broadcast and send_direct take bytes or a "
            "message; use broadcast_message or send_message for objects that have to be pickled"
        )
    if not data.startswith(b"\x80") or _MARK not in data[:_HEAD_BYTES]:
        return None
    try:
        call = _read_call(data)
        return None if call is None else decode_message(call.encoded, _kinds_called(call.kind))
    except (ValueError, DecodeError):
        return None


class _Call(NamedTuple):
    encoded: bytes
    kind: tuple[str, ...]
    """Module and qualified name of a user's own class; empty for one of Muster's messages."""


def _read_call(data: bytes) -> _Call | None:
    """The call of the codec in a pickle, if the pickle does nothing else."""
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
    if encoded is None or not is_ours or given[2:] != ["GLOBAL"] * (take == "TUPLE2"):
        return None
    return _Call(encoded, tuple(names[2:]))


def _kinds_called(name: tuple[str, ...]) -> dict[str, type[BaseModel]]:
    """The user's class with this module and name, since two modules may use the same name."""
    return {
        kind.__qualname__: kind
        for kind in _subclasses_of(Message)
        if (kind.__module__, kind.__qualname__) == name
    }


def _subclasses_of(kind: type[Message]) -> Iterator[type[Message]]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses_of(each)
