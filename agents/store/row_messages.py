"""Encodes the rows of writes as messages of a stream, and reads them back.

A transaction is the rows of one write, or a snapshot: all rows, which replace what was before. It
takes one message or several, of which only the last makes it valid. When a store is opened, an
opening is written. It ends what the former writer has left unfinished.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple

import zstandard

from ...messages import DecodeError, Payload, TaskStatus
from ...messages.values import pack_scalars, unpack
from ..kernel.board.rows import LearnedRow, Rows, ScheduleRow, TaskRow, WorkerRow
from .memory import SharedRows

LAYOUT_VERSION = 1

MIN_MESSAGE_BYTES = 512
"""The least that a message must be allowed to have."""

_MAGIC = b"mu"
# Magic, layout, kind, flags, writer, number of the transaction, part, checksum of all the rest.
_HEADER = struct.Struct(">2sBBB8sIII")
_WITHOUT_CHECKSUM = _HEADER.size - 4

_COMPRESSED = 1
_PART_FOLLOWS = 2
"""The next message goes on with the same encoded rows."""
_ROWS_FOLLOW = 4
"""The next message, or the one after the last part, has further rows of the transaction."""

_ROWS_BYTES = 1 << 20
"""About how many bytes of rows are encoded together."""
_COMPRESS_FROM_BYTES = 400
_MAX_DECOMPRESSED_BYTES = 1 << 30
# The fastest level halves most rows; higher levels gain little.
_COMPRESSION_LEVEL = 1


class RowMessageKind(IntEnum):
    """What a message is part of."""

    OPENING = 0
    COMMIT = 1
    SNAPSHOT = 2


class UnreadableMessage(Exception):
    """The messages of a stream are no rows; the text says why."""


class _Message(NamedTuple):
    kind: int
    flags: int
    writer: bytes
    number: int
    part: int
    content: bytes


class RowEncoder:
    """Encodes the transactions of one writer.

    Args:
        writer: eight bytes that tell this writer from all others.
        max_bytes: how long a message may be.
    """

    def __init__(self, writer: bytes, max_bytes: int) -> None:
        self._writer = writer
        self._max_content = max_bytes - _HEADER.size
        self._number = 0
        self._compressor = zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL)

    def opening(self) -> bytes:
        """The message that a store begins with when it is opened."""
        return self._seal(RowMessageKind.OPENING, 0, 0, b"")

    def commit(self, rows: Rows) -> list[bytes]:
        """The messages of one write."""
        return list(self._transaction(RowMessageKind.COMMIT, _in_groups(rows)))

    def snapshot(self, rows: Rows) -> Iterator[bytes]:
        """The messages of a snapshot, one after the other."""
        return self._transaction(RowMessageKind.SNAPSHOT, _in_groups(rows))

    def _transaction(self, kind: RowMessageKind, groups: Iterable[Rows]) -> Iterator[bytes]:
        self._number += 1
        part = 0
        before: Rows | None = None
        for rows in groups:
            if before is not None:
                for message in self._parts(kind, before, part, _ROWS_FOLLOW):
                    yield message
                    part += 1
            before = rows
        yield from self._parts(kind, before or Rows(), part, 0)

    def _parts(self, kind: RowMessageKind, rows: Rows, part: int, flags: int) -> Iterator[bytes]:
        content = _encode(rows)
        if len(content) >= _COMPRESS_FROM_BYTES:
            flags |= _COMPRESSED
            content = self._compressor.compress(content)
        limit = self._max_content
        for start in range(0, len(content), limit):
            goes_on = _PART_FOLLOWS if start + limit < len(content) else 0
            yield self._seal(kind, flags | goes_on, part, content[start : start + limit])
            part += 1

    def _seal(self, kind: RowMessageKind, flags: int, part: int, content: bytes) -> bytes:
        header = _HEADER.pack(
            _MAGIC, LAYOUT_VERSION, kind, flags, self._writer, self._number, part, 0
        )[:_WITHOUT_CHECKSUM]
        checksum = zlib.crc32(content, zlib.crc32(header))
        return b"".join((header, checksum.to_bytes(4, "big"), content))


class RowReader:
    """Reads the messages of a stream, in their order.

    The first messages may be missing if a snapshot follows them, and more of them may go while they
    are read: whoever writes removes what a snapshot has replaced.
    """

    def __init__(self) -> None:
        self.rows = SharedRows()
        self.last_sequence = 0
        self.messages = 0
        """How many messages have come since the last snapshot began."""
        self.bytes = 0
        """How many bytes these have."""
        self.snapshot_bytes = 0
        """How many bytes the last snapshot has."""
        self._is_whole = True
        self._writer: bytes | None = None
        self._kind = RowMessageKind.OPENING
        self._number = 0
        self._next_part = 0
        self._groups: list[Rows] = []
        self._parts: list[bytes] = []

    def take(self, sequence: int, message: bytes) -> None:
        """Read the next message.

        Args:
            sequence: its number in the stream.
            message: its content.

        Raises:
            UnreadableMessage: it is damaged, of another layout, or does not follow the last one.
        """
        read = _read_header(message)
        is_base = read.kind == RowMessageKind.SNAPSHOT and read.part == 0
        if sequence != self.last_sequence + 1:
            if not is_base:
                raise UnreadableMessage(
                    f"the messages {self.last_sequence + 1:,} to {sequence - 1:,} are missing"
                )
            self._is_whole = False
            self._writer = None
            self._next_part = 0
        self.last_sequence = sequence
        self.messages += 1
        self.bytes += len(message)
        if read.kind == RowMessageKind.OPENING:
            self._begin(read)
            self._next_part = 0
            return
        if read.part == 0 and not self._next_part:
            self._check_writer(read, sequence)
            self._begin(read)
            if is_base:
                self.messages, self.bytes = 1, len(message)
        elif (read.kind, read.writer, read.number, read.part) != (
            self._kind,
            self._writer,
            self._number,
            self._next_part,
        ):
            raise UnreadableMessage(f"message {sequence:,} does not follow the one before it")
        self._take_part(read)

    def is_whole(self) -> bool:
        """Whether all rows are there, as of the last message."""
        return self._is_whole

    def finish(self, last_sequence: int) -> SharedRows:
        """All rows, after the last message.

        Args:
            last_sequence: the number of the message that must have come at least.

        Raises:
            UnreadableMessage: messages are missing.
        """
        if not self._is_whole or self.last_sequence < last_sequence:
            raise UnreadableMessage("messages are missing")
        return self.rows

    def _check_writer(self, read: _Message, sequence: int) -> None:
        if self._writer is not None and read.writer != self._writer:
            raise UnreadableMessage(
                f"message {sequence:,} is from a manager that had lost the store before"
            )

    def _begin(self, read: _Message) -> None:
        self._kind, self._writer, self._number = RowMessageKind(read.kind), read.writer, read.number
        self._groups, self._parts = [], []

    def _take_part(self, read: _Message) -> None:
        self._next_part = read.part + 1
        self._parts.append(read.content)
        if read.flags & _PART_FOLLOWS:
            return
        self._groups.append(_decode(b"".join(self._parts), bool(read.flags & _COMPRESSED)))
        self._parts = []
        if read.flags & _ROWS_FOLLOW:
            return
        groups, self._groups, self._next_part = self._groups, [], 0
        if self._kind == RowMessageKind.SNAPSHOT:
            self.rows, self._is_whole = SharedRows(), True
            self.snapshot_bytes, self.messages, self.bytes = self.bytes, 0, 0
        if self._is_whole:
            for rows in groups:
                self.rows.keep(rows)


def _read_header(message: bytes) -> _Message:
    if len(message) < _HEADER.size or not message.startswith(_MAGIC):
        raise UnreadableMessage("a message is none of a store of Muster")
    _, layout, kind, flags, writer, number, part, checksum = _HEADER.unpack_from(message)
    if layout != LAYOUT_VERSION:
        raise UnreadableMessage(
            f"a message has layout {layout}, and this version of Muster reads {LAYOUT_VERSION}"
        )
    content = message[_HEADER.size :]
    if zlib.crc32(content, zlib.crc32(message[:_WITHOUT_CHECKSUM])) != checksum:
        raise UnreadableMessage("the checksum of a message does not match its content")
    if kind > max(RowMessageKind):
        raise UnreadableMessage(f"a message is of the unknown kind {kind}")
    return _Message(kind, flags, writer, number, part, content)


def _in_groups(rows: Rows) -> Iterator[Rows]:
    """Divide rows into groups of about a megabyte; the first is never left out."""
    tasks = rows.tasks
    size = begin = 0
    first = rows
    for index, row in enumerate(tasks):
        size += len(row.state) + len(row.definition or b"")
        if size >= _ROWS_BYTES:
            yield first._replace(tasks=tasks[begin : index + 1])
            first, size, begin = Rows(), 0, index + 1
    if begin < len(tasks) or not begin:
        yield first._replace(tasks=tasks[begin:])


def _encode(rows: Rows) -> bytes:
    tasks = [
        (task_id, sequence, status.value, definition, state)
        for task_id, sequence, status, definition, state in rows.tasks
    ]
    content = (rows.run, tasks, rows.workers, rows.forgotten, rows.learned, rows.schedules)
    return pack_scalars(content)


def _decode(content: bytes, is_compressed: bool) -> Rows:
    try:
        if is_compressed:
            size = zstandard.frame_content_size(content)
            if not 0 <= size <= _MAX_DECOMPRESSED_BYTES:
                raise UnreadableMessage(f"a message would have {size:,} bytes when decompressed")
            content = zstandard.ZstdDecompressor().decompress(content, allow_extra_data=False)
        return _to_rows(unpack(content))
    except (zstandard.ZstdError, DecodeError, ValueError, TypeError) as fault:
        raise UnreadableMessage(f"a message has no rows: {fault}") from None


def _to_rows(content: Payload) -> Rows:
    run, tasks, workers, forgotten, learned, schedules = content
    return Rows(
        run,
        tuple(
            [
                TaskRow(task_id, sequence, TaskStatus(status), definition, state)
                for task_id, sequence, status, definition, state in tasks
            ]
        ),
        tuple(WorkerRow(*each) for each in workers),
        tuple(forgotten),
        tuple(LearnedRow(*each) for each in learned),
        tuple(ScheduleRow(*each) for each in schedules),
    )
