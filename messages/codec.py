"""Encodes messages as msgpack and decodes them. Nothing is unpickled.

A message is the msgpack array `[kind, fields]`: the name of its class, and the fields that differ
from their defaults. The task in a `TaskAssignment` has the same form, which preserves its class.
Tuples become lists; datetimes with a time zone stay datetimes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias, cast

from pydantic import BaseModel, ValidationError

from .errors import DecodeError, EncodeError, Flaw
from .field_check import check_fields
from .message_kinds import MESSAGE_KINDS
from .plain import SCALARS, defaults_of, plain_fields
from .plain_data import to_plain
from .task import Payload, PriorityTask, Task, check_is_task, find_task_class, makes_id
from .values import pack, pack_scalars, unpack
from .wording import summarize
from .work import Message, Reduced, TaskAssignment, register_reducer

__all__ = [
    "MAX_MESSAGE_BYTES",
    "MESSAGE_KINDS",
    "decode_as",
    "decode_message",
    "decode_task",
    "describe",
    "encode_assignment",
    "encode_message",
    "encode_task",
    "encode_whole_task",
    "has_large_bytes",
    "keep_packed",
    "open_assignment",
    "pack",
    "pack_task",
    "summarize",
    "unpack",
]

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""The largest single message that is sent or accepted."""

Fields: TypeAlias = dict[str, Payload]

_SERIALIZED_BY_DEFAULT = frozenset({*MESSAGE_KINDS.values(), Task, PriorityTask} - {TaskAssignment})
_TAG_AND_FIELDS = 2
_TASK_KEY = pack_scalars("task")
_SHORT_MAP, _LONGEST_SHORT_MAP = 0x80, 15

_validate_assignment: Callable[[Fields], TaskAssignment] = (
    TaskAssignment.__pydantic_validator__.validate_python
)

KEPT_PACKED_BYTES = 64 * 1024
"""The maximum size of an encoded task that is kept in memory beside the task."""

_ENVELOPE_BYTES = 1_024
"""The maximum overhead of an assignment without inputs, beside its task."""


def encode_message(message: BaseModel) -> bytes:
    """Encode a message.

    Args:
        message: one of Muster's messages, or any pydantic model for which the receiver has a
            handler.

    Raises:
        EncodeError: a value has no plain form, or the message is over `MAX_MESSAGE_BYTES`;
            names the message and the field.
    """
    plain = plain_fields(message) if type(message) in _SERIALIZED_BY_DEFAULT else None
    fields = _dump(message) if plain is None else plain
    try:
        if plain is None:
            packed = _pack_converted(type(message).__qualname__, fields)
        # Plain values can always be decoded, so `pack` need not check that.
        elif type(output := fields.get("output")) is bytes and len(output) > KEPT_PACKED_BYTES:
            # Concatenating a tag would copy the large value once more.
            packed = pack_scalars([type(message).__qualname__, fields])
        else:
            packed = _tag_of(type(message)) + pack_scalars(fields)
    except EncodeError as fault:
        if plain is not None:
            # Its types are plain, but not each number and text fits.
            fault = _find_fault(plain) or fault
        raise EncodeError(f"{describe(message)} can't be sent: {fault}") from None
    if len(packed) > MAX_MESSAGE_BYTES:
        raise EncodeError(
            f"{describe(message)} can't be sent: it has {len(packed):,} bytes, "
            f"the limit is {MAX_MESSAGE_BYTES:,}; pass large data by reference"
        )
    return packed


def decode_message(data: bytes, also: Mapping[str, type[BaseModel]] | None = None) -> BaseModel:
    """Decode a message.

    Args:
        data: any bytes.
        also: additional message classes, by qualified name.

    Raises:
        DecodeError: the bytes are not a known message. No other error is raised.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise DecodeError(Flaw.OVERSIZED, f"a message of {len(data):,} bytes")
    kind, fields = _open_tagged(unpack(data))
    message_class = MESSAGE_KINDS.get(kind)
    if message_class is TaskAssignment:
        return _load_assignment(fields)
    if message_class is None:
        message_class = (also or {}).get(kind)
        if message_class is None:
            raise DecodeError(Flaw.UNKNOWN_KIND, f"no message is called {kind[:100]!r}")
        if issubclass(message_class, TaskAssignment):
            fields["task"] = _load_task(fields.get("task"))
    return _load(message_class, fields)


def decode_as(data: bytes, kind: type[BaseModel]) -> BaseModel:
    """Decode a message of a user's class, as its pickle does.

    Raises:
        DecodeError: the bytes are not such a message.
    """
    return decode_message(data, {kind.__qualname__: kind})


def _reduce(message: Message) -> Reduced:
    kind = type(message)
    if kind in MESSAGE_KINDS.values():
        return decode_message, (encode_message(message),)
    return decode_as, (encode_message(message), kind)


register_reducer(_reduce)


def encode_task(task: Task) -> bytes:
    """Encode a task for a store.

    Raises:
        EncodeError: a value of the task has no plain form.
    """
    plain = plain_fields(task) if type(task) in _SERIALIZED_BY_DEFAULT else None
    if plain is not None:
        return _tag_of(type(task)) + pack_scalars(plain)
    return _pack_converted(type(task).__qualname__, _dump_one(task))


def pack_task(task: Task) -> bytes | None:
    """Encode a task as it appears in an assignment, and check that it can be sent.

    Returns:
        The encoded task. None if it is over `KEPT_PACKED_BYTES`: a large task is encoded when it
        is sent, because two copies of it would take too much memory until then.

    Raises:
        InvalidTask: `task` is not a `Task`.
        EncodeError: the task can't be sent; names the task and the field.
    """
    check_is_task(task)
    if has_large_bytes(task) and _is_surely_sent(task):
        return None
    try:
        packed = encode_task(task)
    # pydantic compares the user's values with defaults, and that may raise anything.
    except Exception:  # noqa: BLE001
        packed = b""
    if not packed or len(packed) > MAX_MESSAGE_BYTES - _ENVELOPE_BYTES:
        # Raises the error that names the task and the field.
        encode_message(TaskAssignment(task=task))
    return packed if len(packed) <= KEPT_PACKED_BYTES else None


def keep_packed(task: Task, packed: bytes) -> bytes | None:
    """What `pack_task` returns for a task that was decoded from these bytes, without encoding it.

    Raises:
        EncodeError: the task can't be sent; names the task and the field.
    """
    if len(packed) > MAX_MESSAGE_BYTES - _ENVELOPE_BYTES:
        return pack_task(task)
    return packed if len(packed) <= KEPT_PACKED_BYTES else None


def encode_whole_task(task: Task) -> bytes:
    """Encode a task of any size, and check that it can be sent.

    Raises:
        InvalidTask: `task` is not a `Task`.
        EncodeError: the task can't be sent; names the task and the field.
    """
    # `pack_task` names the field that can't be sent.
    return pack_task(task) or encode_task(task)


def has_large_bytes(task: Task) -> bool:
    """Whether a task's data is a `bytes` object over `KEPT_PACKED_BYTES`."""
    data: object = task.__dict__.get("data")
    return type(data) is bytes and len(data) > KEPT_PACKED_BYTES


def _is_surely_sent(task: Task) -> bool:
    """Whether a task with large bytes is known to be sendable without encoding it."""
    return (
        len(task.data) <= MAX_MESSAGE_BYTES // 2
        and type(task) in _SERIALIZED_BY_DEFAULT
        and not task.depends_on
        and plain_fields(task) is not None
    )


def encode_assignment(assignment: TaskAssignment, packed_task: bytes) -> bytes:
    """Encode an assignment; faster than `encode_message`.

    Args:
        assignment: the assignment.
        packed_task: its task, as returned by `pack_task`.

    Raises:
        EncodeError: a value has no plain form, or the message is over `MAX_MESSAGE_BYTES`.
    """
    fields = plain_fields(assignment, without="task")
    if fields is None or len(fields) >= _LONGEST_SHORT_MAP:
        return encode_message(assignment)
    message = _open_assignment(fields) + packed_task
    return message if len(message) <= MAX_MESSAGE_BYTES else encode_message(assignment)


@lru_cache(maxsize=256)
def open_assignment(assigned_at: int, timeout: float | None, attempt: int, worker: str) -> bytes:
    """Encode the part of an assignment before its task, for one that has only these fields.

    The bytes that `pack_task` returned complete the message. Assignments sent in the same second
    mostly share this part, so it is cached.
    """
    told = (assigned_at, timeout, attempt, worker)
    rules = TaskAssignment.model_fields
    return _open_assignment(
        {
            name: value
            for name, value in zip(_IN_OPENING, told, strict=True)
            if value != rules[name].default
        }
    )


_IN_OPENING = ("assigned_at", "timeout", "attempt", "worker")
_NOT_IN_OPENING = ("task", "inputs", "traceparent", "reviewed", "upstream_errors")
"""The task, which follows the opening, and the fields that such an assignment must not have."""

check_fields(TaskAssignment, (*_IN_OPENING, *_NOT_IN_OPENING), "open_assignment in the codec")


def _open_assignment(fields: Fields) -> bytes:
    # A short msgpack map is one byte with its length, followed by keys and values.
    opening = bytes((_SHORT_MAP + len(fields) + 1,))
    tag = _tag_of(TaskAssignment)
    return b"".join((tag, opening, pack_scalars(fields)[1:], _TASK_KEY))


@lru_cache(maxsize=256)
def _tag_of(kind: type[BaseModel]) -> bytes:
    """The first bytes of a message: the header of an array of two items, and its kind."""
    return b"\x92" + pack_scalars(kind.__qualname__)


def decode_task(data: bytes) -> Task:
    """Decode a task that `encode_task` encoded.

    Raises:
        DecodeError: the bytes are not a task, or its class is not known in this process.
    """
    return _load_task(unpack(data))


def describe(message: BaseModel) -> str:
    """Name a message for an error, such as "TaskResult of task 7"."""
    name = type(message).__name__
    if isinstance(message, TaskAssignment):
        return f"{name} of task {message.task.id!r}"
    task_id = getattr(message, "task_id", None)
    return name if task_id is None else f"{name} of task {task_id!r}"


def _dump(message: BaseModel) -> Fields:
    try:
        fields = _dump_one(message)
        if isinstance(message, TaskAssignment):
            del fields["task"]
            if message.reviewed is not None:
                fields["reviewed"] = _dump_one(message.reviewed)
            fields["task"] = [type(message.task).__qualname__, _dump_one(message.task)]
    # pydantic compares the user's values with defaults, and that may raise anything.
    except Exception as fault:  # noqa: BLE001
        reason = f"{type(fault).__name__}: {fault}"
        raise EncodeError(f"{describe(message)} can't be sent: {reason}") from None
    return fields


def _dump_one(message: BaseModel) -> Fields:
    """The fields that differ from their defaults; what users put into payloads stays as it is."""
    kind = type(message)
    apart = kind.model_fields.keys() & _DUMPED_APART
    if kind.__pydantic_decorators__.field_serializers:
        # A user's class may say how its data are serialized.
        apart -= _PAYLOADS
    dumped = message.model_dump(exclude_defaults=True, warnings=False, exclude=apart)
    if not apart:
        return dumped
    held = message.__dict__
    for name, default in defaults_of(kind):
        if name in apart and name in held and not _is_default(held[name], default):
            dumped[name] = held[name]
    # In one order, whatever the payload is, so that equal tasks have equal bytes.
    named = [name for name in kind.model_fields if name in dumped]
    return {name: dumped[name] for name in (*named, *(dumped.keys() - named))}


_PAYLOADS = frozenset({"data", "output", "inputs"})
"""The fields that have what users pass, which pydantic would dump without its default values."""

_DUMPED_APART = _PAYLOADS | {"task", "reviewed"}


def _is_default(value: object, default: object) -> bool:
    if value is default:
        return True
    is_comparable = type(value) in SCALARS or (type(value) in (dict, list, tuple) and not value)
    return is_comparable and value == default


def _pack_converted(kind: str, fields: Fields) -> bytes:
    """Encode a message, in plain form where msgpack can't carry what its fields have.

    Raises:
        EncodeError: something has no plain form; names its place.
    """
    with contextlib.suppress(EncodeError):
        return pack([kind, fields])
    plain = {name: to_plain(value, name) for name, value in fields.items() if name != "task"}
    tagged: list[Payload] | None = fields.get("task")
    if isinstance(tagged, list):
        task: Fields = tagged[1]
        plain["task"] = [tagged[0], {name: to_plain(value, name) for name, value in task.items()}]
    return pack([kind, plain])


def _find_fault(fields: Fields) -> EncodeError | None:
    try:
        for name, value in fields.items():
            to_plain(value, name)
    except EncodeError as fault:
        return fault
    return None


def _load(message_class: type[BaseModel], fields: Fields) -> BaseModel:
    try:
        # `model_validate` does the same with more overhead.
        return message_class.__pydantic_validator__.validate_python(fields)
    except ValidationError as fault:
        raise DecodeError(Flaw.INVALID, summarize(fault)) from None
    # A user's own model may have validators that raise anything.
    except Exception as fault:  # noqa: BLE001
        detail = f"{message_class.__name__}: {type(fault).__name__}: {fault}"
        raise DecodeError(Flaw.INVALID, detail[:500]) from None


def _load_assignment(fields: Fields) -> BaseModel:
    tagged = fields.get("task")
    kind, task_fields = _open_tagged(tagged)
    if find_task_class(kind) is Task and "id" in task_fields:
        # `TaskAssignment` declares this class for its task, so one call validates both.
        fields["task"] = task_fields
        try:
            return _validate_assignment(fields)
        except Exception:  # noqa: BLE001, S110 - the code below raises the detailed error
            pass
    fields["task"] = _load_task(tagged)
    return _load(TaskAssignment, fields)


def _load_task(tagged: Payload) -> Task:
    kind, fields = _open_tagged(tagged)
    task_class = find_task_class(kind)
    if task_class is None:
        raise DecodeError(
            Flaw.UNKNOWN_KIND,
            f"no task class is called {kind[:100]!r} here; import its module on the worker too",
        )
    if "id" not in fields and makes_id(task_class) and "task_id" not in fields:
        # A new task gets an id of its own; one that was sent without has lost it.
        raise DecodeError(Flaw.INVALID, "id: missing")
    return cast("Task", _load(task_class, fields))


def _open_tagged(value: Payload) -> tuple[str, Fields]:
    tagged: list[Payload] | None = value
    if isinstance(tagged, list) and len(tagged) == _TAG_AND_FIELDS:
        kind: str | None = tagged[0]
        fields: Fields | None = tagged[1]
        # A field name that is not a string is refused by the validation.
        if isinstance(kind, str) and isinstance(fields, dict):
            return kind, fields
    raise DecodeError(Flaw.GARBAGE, "msgpack, but not [kind, fields]")
