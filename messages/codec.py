"""Messages to msgpack and back. Nothing here, or anywhere in Muster, unpickles.

A message is the msgpack array `[kind, fields]`: the class's name, and the fields that differ from
their defaults. The task inside a `TaskAssignment` is tagged with its own class in the same way, so
that subclasses survive the journey. Tuples arrive as lists; datetimes with a zone arrive as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, cast

import msgpack
from pydantic import BaseModel, ValidationError

from .errors import DecodeError, EncodeError, Flaw
from .inquiry import Answer, Inquiry
from .membership import Goodbye, Heartbeat, Hello, Refusal, Shutdown, Welcome
from .registry import find_task_class
from .task import Payload, Task
from .work import CancelTask, TaskAssignment, TaskProgress, TaskResult

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""The largest single message that is sent or accepted."""

Fields: TypeAlias = dict[str, Payload]

MESSAGE_KINDS: Mapping[str, type[BaseModel]] = {
    kind.__name__: kind
    for kind in (
        TaskAssignment,
        TaskResult,
        TaskProgress,
        CancelTask,
        Hello,
        Welcome,
        Refusal,
        Heartbeat,
        Goodbye,
        Shutdown,
        Inquiry,
        Answer,
    )
}
"""Muster's own messages by their names on the wire."""

_DECODE_FAULTS = (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException)
_ENCODE_FAULTS = (ValueError, TypeError, OverflowError, RecursionError)


def pack(value: Payload) -> bytes:
    """Turn a plain value into msgpack.

    Raises:
        EncodeError: msgpack can't carry it; names the place inside the value.
    """
    try:
        packed = cast(bytes, msgpack.packb(value, datetime=True))
        # What msgpack packs it may still refuse to unpack, such as a dict with tuples for keys.
        unpack(packed)
    except (*_ENCODE_FAULTS, DecodeError) as fault:
        raise EncodeError(_describe_unportable(value, fault)) from None
    return packed


def unpack(data: bytes) -> Payload:
    """Turn msgpack into a plain value.

    Raises:
        DecodeError: the bytes are not one msgpack value.
    """
    try:
        return msgpack.unpackb(data, strict_map_key=False, timestamp=3)
    except _DECODE_FAULTS as fault:
        raise DecodeError(Flaw.GARBAGE, f"not msgpack ({type(fault).__name__}: {fault})") from None


def encode_message(message: BaseModel) -> bytes:
    """Turn a message into bytes.

    Args:
        message: one of Muster's own, or any pydantic model that the receiver has a handler for.

    Raises:
        EncodeError: it holds a value that msgpack can't carry, or is over `MAX_MESSAGE_BYTES`;
            names the message and the place.
    """
    fields = _dump(message)
    if isinstance(message, TaskAssignment):
        fields["task"] = [type(message.task).__qualname__, _dump(message.task)]
    try:
        packed = pack([type(message).__qualname__, fields])
    except EncodeError as fault:
        raise EncodeError(f"{describe(message)} can't be sent: {fault}") from None
    if len(packed) > MAX_MESSAGE_BYTES:
        raise EncodeError(
            f"{describe(message)} can't be sent: it takes {len(packed):,} bytes, "
            f"the limit is {MAX_MESSAGE_BYTES:,}; pass large data by reference"
        )
    return packed


def decode_message(
    data: bytes, also: Mapping[str, type[BaseModel]] | None = None
) -> BaseModel:
    """Turn bytes into the message they stand for.

    Args:
        data: what `encode_message` returned, or anything else.
        also: further classes that are accepted, by qualified name.

    Raises:
        DecodeError: the bytes are no known message; nothing else is ever raised.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise DecodeError(Flaw.OVERSIZED, f"a message of {len(data):,} bytes")
    kind, fields = _open_tagged(unpack(data))
    message_class = MESSAGE_KINDS.get(kind) or (also or {}).get(kind)
    if message_class is None:
        raise DecodeError(Flaw.UNKNOWN_KIND, f"no message is called {kind[:100]!r}")
    if message_class is TaskAssignment:
        fields["task"] = _load_task(fields.get("task"))
    return _load(message_class, fields)


def describe(message: BaseModel) -> str:
    """Name a message for an error, such as "TaskResult of task 7"."""
    name = type(message).__name__
    if isinstance(message, TaskAssignment):
        return f"{name} of task {message.task.id!r}"
    task_id = getattr(message, "task_id", None)
    return name if task_id is None else f"{name} of task {task_id!r}"


def _dump(model: BaseModel) -> Fields:
    try:
        return model.model_dump(exclude_defaults=True, warnings=False)
    except _ENCODE_FAULTS as fault:
        raise EncodeError(f"{describe(model)} can't be sent: {fault}") from None


def _load(message_class: type[BaseModel], fields: Fields) -> BaseModel:
    try:
        return message_class.model_validate(fields)
    except ValidationError as fault:
        raise DecodeError(Flaw.INVALID, summarize(fault)) from None
    except _DECODE_FAULTS as fault:
        # A user's own model may have validators that raise anything.
        detail = f"{message_class.__name__}: {type(fault).__name__}: {fault}"
        raise DecodeError(Flaw.INVALID, detail[:500]) from None


def _load_task(tagged: Payload) -> Task:
    kind, fields = _open_tagged(tagged)
    task_class = find_task_class(kind)
    if task_class is None:
        raise DecodeError(
            Flaw.UNKNOWN_KIND,
            f"no class of tasks is called {kind[:100]!r} here; import its module on the worker too",
        )
    return cast(Task, _load(task_class, fields))


def _open_tagged(value: Payload) -> tuple[str, Fields]:
    match value:
        case [str() as kind, dict() as fields]:
            if all(isinstance(name, str) for name in cast(dict[object, object], fields)):
                return kind, cast(Fields, fields)
        case _:
            pass
    raise DecodeError(Flaw.GARBAGE, "msgpack, but not [kind, fields]")


def summarize(fault: ValidationError) -> str:
    """Put a validation error into one line that names each field, its value and the rule."""
    parts: list[str] = []
    for problem in fault.errors(include_url=False, include_context=False):
        place = ".".join(str(step) for step in problem["loc"]) or fault.title
        given = repr(problem["input"])
        shown = given if len(given) <= 80 else given[:77] + "..."
        parts.append(f"{place}: {shown}: {problem['msg']}")
    return "; ".join(parts[:5]) + (f"; and {len(parts) - 5} more" if len(parts) > 5 else "")


def _describe_unportable(value: Payload, fault: Exception) -> str:
    found = _find_unportable(value, "", 0)
    if found is None:
        return f"msgpack can't carry it ({type(fault).__name__}: {fault})"
    place, culprit, rule = found
    shown = repr(culprit)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    where = f" at {place}" if place else ""
    return f"msgpack can't carry {shown} ({type(culprit).__name__}){where}: {rule}"


def _find_unportable(value: Payload, place: str, depth: int) -> tuple[str, object, str] | None:
    if depth > _MAX_SHOWN_DEPTH:
        return place[:80] + "…", type(value).__name__, "it is nested too deeply"
    if isinstance(value, dict):
        for key, item in cast(dict[object, Payload], value).items():
            if isinstance(key, tuple | frozenset):
                return place, cast(object, key), "keys must be text, bytes, numbers, bools or None"
            found = _find_unportable(key, place, depth + 1) or _find_unportable(
                item, f"{place}[{key!r}]", depth + 1
            )
            if found:
                return found
        return None
    if isinstance(value, list | tuple):
        for index, item in enumerate(cast("list[Payload]", value)):
            if found := _find_unportable(item, f"{place}[{index}]", depth + 1):
                return found
        return None
    try:
        msgpack.packb(value, datetime=True)
    except OverflowError:
        return place, value, "integers must fit into 64 bits"
    except _ENCODE_FAULTS:
        return place, value, "use None, bool, int, float, str, bytes, list or dict"
    return None


_MAX_SHOWN_DEPTH = 200
