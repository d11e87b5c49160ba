"""Reads one of our own messages out of a pickle without unpickling it.

The tutorial's agents send their results as `self.broadcast(pickle.dumps(result))`. Messages of
ours pickle as a call of `decode_message` on msgpack bytes (see `Message.__reduce__`), so the bytes
can be picked out of the pickle's opcodes; nothing in it is ever executed.
"""

from __future__ import annotations

from pydantic import BaseModel

from ..messages import DecodeError, decode_message

_MARK = decode_message.__name__.encode()
_HEAD_BYTES = 200
_BYTES_OPCODES = frozenset({"SHORT_BINBYTES", "BINBYTES", "BINBYTES8"})


def message_inside(data: bytes) -> BaseModel | None:
    """The message of ours that these bytes are a pickle of, or None."""
    if not data.startswith(b"\x80") or _MARK not in data[:_HEAD_BYTES]:
        return None
    import pickletools  # noqa: PLC0415 - most agents never see a pickle

    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in _BYTES_OPCODES and isinstance(argument, bytes):
                return decode_message(argument)
    except (ValueError, DecodeError):
        return None
    return None
