"""The document in a state file: read, indexed, and written with only what changed encoded anew.

What Muster writes has each task on a line of its own, so that of a document which another process
has changed only the changed lines are read. Any other JSON of the same structure is read too.

A task that can't be read, whatever is wrong with it, is set aside: it stays in the document as it
stands, nobody gets it, and all others go on.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import NamedTuple, NoReturn, cast

from pydantic import JsonValue

from ...messages import TaskStatus, UnreadableTask
from .json_members import find_depth, split_members
from .table import Entry, StatusCounts
from .timestamps import from_timestamp

WORKFLOW_TYPE = "generic"
"""What a new document says of its workflow; what another says is kept."""

_BEGINNING = b'{"workflow_type": '
_BEFORE_TASKS = b', "tasks": {'
_BETWEEN_TASKS = b",\n"
_END = b"\n}}\n"
_LONG_AGO = float("-inf")

MAX_DEPTH = 200
"""How deep a task's lists and objects may be nested; what is deeper Python can't always read."""

_MAY_BE_NULL = ("parent_id", "locked_by", "locked_at", "created_at", "completed_at")
_TIMESTAMPS = ("locked_at", "created_at", "completed_at")


class NotAStateDocument(ValueError):
    """What was read is not a state document; the message says why."""


class _Row(NamedTuple):
    """What is known of a task without reading its line again.

    Args:
        task_id: its id.
        task_type: its type.
        status: where it stands.
        parent_id: the task that it belongs to, or None.
        locked_by: who holds it, or None.
        locked_at: since when, in seconds since 1970; long ago if that isn't told.
        settled_at: when it was settled, or else created, in seconds since 1970; None if that isn't
            told.
        fault: why the task can't be read, and so is set aside; "" if it can.
    """

    task_id: str
    task_type: str = ""
    status: TaskStatus | None = None
    parent_id: str | None = None
    locked_by: str | None = None
    locked_at: float = _LONG_AGO
    settled_at: float | None = None
    fault: str = ""


class StateDocument:
    """A state document in memory.

    Args:
        content: the document as bytes.

    Raises:
        NotAStateDocument: it is none.
    """

    def __init__(self, content: bytes) -> None:
        self._forget()
        self.refresh(content)

    def _forget(self) -> None:
        self._head = b""
        self._top: Entry = {}
        self._lines: list[bytes] = []
        self._rows: list[_Row] = []
        self._places: dict[str, int] = {}
        self._pending: dict[str, set[int]] = {}
        self._in_progress: set[int] = set()
        self._set_aside: dict[str, str] = {}
        self._has_doubles = False

    # ------------------------------------------------------------------ bytes in, bytes out

    def refresh(self, content: bytes) -> None:
        """Become what a newer version says; reads only what differs, where Muster wrote it.

        Raises:
            NotAStateDocument: it is none; nothing of this one is to be used any more.
        """
        head, newline, _ = content.partition(b"\n")
        is_ours = (
            newline
            and head.startswith(_BEGINNING)
            and head.endswith(_BEFORE_TASKS)
            and content.endswith(_END)
            and len(content) >= len(head) + len(newline) + len(_END)
        )
        if is_ours:
            body = content[len(head) + 1 : -len(_END)]
            try:
                self._read_lines(head, body.split(_BETWEEN_TASKS) if body else [])
            except NotAStateDocument:
                # What begins and ends as ours may be another program's in between.
                pass
            else:
                return
        self._read_foreign(content)

    def _read_lines(self, head: bytes, lines: list[bytes]) -> None:
        if head != self._head:
            self._top = _check_top(_parse(head + b"}}", "its first line"))
            self._head = head
        if not self._follow(lines):
            top = self._top
            self._forget()
            self._top, self._head = top, head
            for line in lines:
                self._append(line, _read_line(line))

    def _follow(self, lines: list[bytes]) -> bool:
        """Take over lines that differ; False if they are not these and perhaps some more."""
        known = len(self._lines)
        if len(lines) < known or self._has_doubles:
            return False
        for place, (old, new) in enumerate(zip(self._lines, lines, strict=False)):
            if old != new:
                row = _read_line(new)
                if row.task_id != self._rows[place].task_id:
                    return False
                self._put(place, new, row)
        for line in lines[known:]:
            self._append(line, _read_line(line))
        return True

    def _read_foreign(self, content: bytes) -> None:
        self._forget()
        try:
            self._top = _check_top(_parse(content))
            tasks = cast("Entry", self._top["tasks"])
            self._top["tasks"] = {}
            self._head = self._encode_head()
            for task_id, entry in tasks.items():
                self._append(*_make_line(task_id, entry))
        except NotAStateDocument as fault:
            self._forget()
            self._read_task_by_task(content, fault)

    def _read_task_by_task(self, content: bytes, fault: NotAStateDocument) -> None:
        """Read all that can be read, and set aside the tasks that can't be."""
        try:
            text = content.decode(json.detect_encoding(content), "surrogatepass")
            members = split_members(text)
        except ValueError:
            raise fault from None
        tasks = [value for name, value in members if json.loads(name) == "tasks"]
        others = ", ".join(
            f"{name}: {value}" for name, value in members if json.loads(name) != "tasks"
        )
        if len(tasks) != 1 or not tasks[0].startswith("{"):
            raise fault
        self._top = _check_top({"tasks": {}, **parse_object(f"{{{others}}}")})
        self._head = self._encode_head()
        for name, value in split_members(tasks[0]):
            line = f"{name}: {value}".encode("utf-8", "surrogatepass")
            row = _read_line(line)
            if not row.fault:
                # All of it ASCII, as what we write ourselves.
                line, row = _make_line(row.task_id, parse_object(b"{%b}" % line)[row.task_id])
            self._append(line, row)

    def encode(self) -> tuple[bytes, ...]:
        """The document as bytes, in parts; to join megabytes once more is not free."""
        return self._head, b"\n", _BETWEEN_TASKS.join(self._lines), _END

    def _encode_head(self) -> bytes:
        first = ("workflow_type", "metadata")
        ordered = {name: self._top[name] for name in first}
        ordered |= {name: self._top[name] for name in self._top if name not in (*first, "tasks")}
        return _encode(ordered)[:-1] + _BEFORE_TASKS

    # ------------------------------------------------------------------ tasks

    def find(self, task_id: str) -> Entry | None:
        """A task, as a copy; None if there is none of this id.

        Raises:
            UnreadableTask: it was set aside.
        """
        place = self._places.get(task_id)
        if place is None:
            return None
        fault = self._rows[place].fault
        if fault:
            raise unreadable(task_id, fault)
        entry = json.loads(b"{%b}" % self._lines[place])[task_id]
        return cast("Entry", entry)

    def add(self, task_id: str, entry: Entry) -> None:
        """Add a task of a new id."""
        self._append(*_make_line(task_id, entry))

    def replace(self, task_id: str, entry: Entry) -> None:
        """Put a changed task in its place."""
        self._put(self._places[task_id], *_make_line(task_id, entry))

    def remove(self, task_ids: Collection[str]) -> None:
        """Take tasks out; the others keep their order."""
        kept = [
            (line, row)
            for line, row in zip(self._lines, self._rows, strict=True)
            if row.task_id not in task_ids
        ]
        top, head = self._top, self._head
        self._forget()
        self._top, self._head = top, head
        for line, row in kept:
            self._append(line, row)

    def next_pending(self, task_types: Sequence[str] | None) -> str | None:
        """The id of the first pending task, among those of some types if they are named."""
        types = self._pending if task_types is None else task_types
        first = min(
            (min(places) for each in types if (places := self._pending.get(each))), default=None
        )
        return None if first is None else self._rows[first].task_id

    def held_since_before(self, moment: float) -> list[str]:
        """The ids of the tasks in progress that were locked before a moment."""
        return self._held(row for row in self._in_hand() if row.locked_at < moment)

    def held_by(self, agent_id: str) -> list[str]:
        """The ids of the tasks in progress that an agent holds."""
        return self._held(row for row in self._in_hand() if row.locked_by == agent_id)

    def _in_hand(self) -> Iterable[_Row]:
        return (self._rows[place] for place in sorted(self._in_progress))

    @staticmethod
    def _held(rows: Iterable[_Row]) -> list[str]:
        return [row.task_id for row in rows]

    def with_status(self, status: TaskStatus | None, limit: int | None) -> list[str]:
        """The ids of the first tasks of one status, or of all that can be read."""
        found = (row.task_id for row in self._rows if row.status and status in {None, row.status})
        return list(islice(found, limit))

    def settled_before(self, moment: float, statuses: Collection[TaskStatus]) -> list[str]:
        """The ids of the tasks of some statuses that have been so since before a moment."""
        return [
            row.task_id
            for row in self._rows
            if row.status in statuses and row.settled_at is not None and row.settled_at < moment
        ]

    def families(self) -> list[tuple[str, str]]:
        """The ids of all tasks that belong to another, each with that one's."""
        return [(row.task_id, row.parent_id) for row in self._rows if row.parent_id is not None]

    def set_aside(self) -> dict[str, str]:
        """The tasks that can't be read: by their ids, why."""
        return dict(self._set_aside)

    def children(self, parent_id: str) -> list[str]:
        """The ids of the tasks that belong to another."""
        return [row.task_id for row in self._rows if row.parent_id == parent_id]

    def tallies(self) -> StatusCounts:
        """How many tasks there are, by status and by type."""
        return StatusCounts(
            Counter(row.status.value for row in self._rows if row.status),
            Counter(row.task_type for row in self._rows if row.status),
        )

    # ------------------------------------------------------------------ the whole

    def metadata(self) -> Entry:
        """What is noted of the whole, as a copy."""
        return cast("Entry", json.loads(_encode(self._top["metadata"])))

    def replace_metadata(self, metadata: Entry) -> None:
        """Note other things of the whole."""
        self._top["metadata"] = metadata
        self._head = self._encode_head()

    # ------------------------------------------------------------------ the index

    def _append(self, line: bytes, row: _Row) -> None:
        place = len(self._lines)
        first = self._places.get(row.task_id)
        if first is not None:
            # Which of them is meant nobody can tell.
            self._has_doubles = True
            row = _Row(row.task_id, fault="its id stands there twice")
            self._put(first, self._lines[first], row)
        else:
            self._places[row.task_id] = place
        self._lines.append(line)
        self._rows.append(row)
        self._enter(place, row)

    def _put(self, place: int, line: bytes, row: _Row) -> None:
        before = self._rows[place]
        if before.status is TaskStatus.PENDING:
            self._pending[before.task_type].discard(place)
        self._in_progress.discard(place)
        self._set_aside.pop(before.task_id, None)
        self._lines[place] = line
        self._rows[place] = row
        self._enter(place, row)

    def _enter(self, place: int, row: _Row) -> None:
        if row.fault:
            self._set_aside[row.task_id] = row.fault
        elif row.status is TaskStatus.PENDING:
            self._pending.setdefault(row.task_type, set()).add(place)
        elif row.status is TaskStatus.IN_PROGRESS:
            self._in_progress.add(place)


def unreadable(task_id: str, fault: str) -> UnreadableTask:
    """The error that a task was set aside.

    Args:
        task_id: which one.
        fault: why.
    """
    return UnreadableTask(
        f"the task {task_id!r} can't be read: {fault}; it stays as it is, and all others go on; "
        "mend it in the file"
    )


def begin(initialized_at: str) -> tuple[bytes, ...]:
    """A document with no tasks yet.

    Args:
        initialized_at: the timestamp of its beginning.
    """
    metadata: Entry = {"initialized_at": initialized_at, "last_updated": initialized_at}
    document: Entry = {"workflow_type": WORKFLOW_TYPE, "metadata": metadata}
    return _encode(document)[:-1], _BEFORE_TASKS, b"\n", _END


# ------------------------------------------------------------------ JSON


def _encode(value: JsonValue) -> bytes:
    # All of it ASCII: so it is UTF-8, and what JSON may hold and UTF-8 may not is escaped.
    try:
        return json.dumps(value, allow_nan=False).encode("ascii")
    except RecursionError:
        raise NotAStateDocument("it is nested too deep") from None
    except ValueError as fault:
        raise NotAStateDocument(f"it holds what JSON can't: {fault}") from None


def _make_line(task_id: str, entry: JsonValue) -> tuple[bytes, _Row]:
    line = b"%b: %b" % (_encode(task_id), _encode(entry))
    check_depth(line)
    return line, check_entry(task_id, entry)


def check_depth(line: bytes) -> None:
    """See that a JSON text is not nested deeper than can be read everywhere.

    Raises:
        NotAStateDocument: it is.
    """
    # To count the brackets is quick, and nearly always enough.
    if line.count(b"{") + line.count(b"[") > MAX_DEPTH and find_depth(line) > MAX_DEPTH:
        raise NotAStateDocument(f"it is nested too deep: over {MAX_DEPTH} levels")


def parse_object(text: str | bytes) -> Entry:
    """Read a JSON text that is known to be an object's, if it is JSON.

    Raises:
        NotAStateDocument: it is not JSON, or holds what we can't write again.
    """
    return cast("Entry", _parse(text))


def _parse(content: str | bytes, what: str = "it") -> JsonValue:
    try:
        return cast(
            "JsonValue",
            json.loads(
                content,
                parse_constant=_refuse,
                parse_float=_read_float,
                object_pairs_hook=_refuse_doubles,
            ),
        )
    except NotAStateDocument:
        raise
    except RecursionError:
        raise NotAStateDocument(f"{what} is nested too deep") from None
    except ValueError as fault:
        if "integer string conversion" in str(fault):
            raise NotAStateDocument(f"{what} holds an integer of too many digits") from None
        raise NotAStateDocument(f"{what} is not JSON: {fault}") from None


def _read_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise NotAStateDocument(f"it holds what JSON can't carry: {text[:20]}, a number too large")
    return number


def _refuse(constant: str) -> NoReturn:
    raise NotAStateDocument(f"it holds {constant}, which is not JSON")


def _refuse_doubles(pairs: list[tuple[str, JsonValue]]) -> Entry:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(name for name in names if names.count(name) > 1)
        raise NotAStateDocument(f"the name {doubled!r} stands twice in one object")
    return found


def _read_line(line: bytes) -> _Row:
    """What is known of a line's task, which may be that it can't be read.

    Raises:
        NotAStateDocument: the line is not that of one task.
    """
    try:
        check_depth(line)
        found = parse_object(b"{%b}" % line)
        if len(found) == 1:
            ((task_id, entry),) = found.items()
            return check_entry(task_id, entry)
        fault = NotAStateDocument("a line holds more than one task")
    except NotAStateDocument as found_fault:
        fault = found_fault
    try:
        ((name, _),) = split_members(f"{{{line.decode()}}}")
    except ValueError:
        raise fault from None
    return _Row(json.loads(name), fault=str(fault))


# ------------------------------------------------------------------ what must stand there


def _check_top(document: JsonValue) -> Entry:
    if not isinstance(document, dict):
        raise NotAStateDocument(f"it is {_kind(document)}, not an object")
    for name, kind in (("workflow_type", str), ("metadata", dict), ("tasks", dict)):
        if name not in document:
            raise NotAStateDocument(f"it has no {name!r}")
        if not isinstance(document[name], kind):
            expected = "an object" if kind is dict else "text"
            raise NotAStateDocument(f"its {name!r} is {_kind(document[name])}, not {expected}")
    return document


def check_entry(task_id: str, entry: JsonValue) -> _Row:
    """See that a task is one that can be worked on.

    Raises:
        NotAStateDocument: it is not; says why.
    """
    if not isinstance(entry, dict):
        raise NotAStateDocument(f"the task {task_id!r} is {_kind(entry)}, not an object")
    task_type, status = entry.get("type"), entry.get("status")
    if not isinstance(task_type, str):
        raise NotAStateDocument(f"the type of task {task_id!r} is {_kind(task_type)}, not text")
    try:
        known_status = TaskStatus(status)
    except ValueError:
        known = ", ".join(dict.fromkeys(each.value for each in TaskStatus))
        raise NotAStateDocument(
            f"the status of task {task_id!r} is {status!r}, which is none of {known}"
        ) from None
    texts: dict[str, str | None] = {}
    for name in _MAY_BE_NULL:
        value = entry.get(name)
        if value is not None and not isinstance(value, str):
            raise NotAStateDocument(f"{name} of task {task_id!r} is {_kind(value)}, not text")
        texts[name] = value
    moments: dict[str, float] = {}
    for name in _TIMESTAMPS:
        text = texts[name]
        if text is not None:
            try:
                moments[name] = from_timestamp(text)
            except ValueError:
                raise NotAStateDocument(
                    f"{name} of task {task_id!r} is {text!r}, which is not an ISO 8601 timestamp"
                ) from None
    is_held = texts["locked_by"] is not None and "locked_at" in moments
    return _Row(
        task_id,
        task_type,
        known_status,
        texts["parent_id"],
        texts["locked_by"],
        # In progress with nobody, or since nobody knows when: nobody will ever bring it to an end.
        moments["locked_at"] if is_held else _LONG_AGO,
        moments.get("completed_at", moments.get("created_at")),
    )


def _kind(value: JsonValue) -> str:
    match value:
        case None:
            return "missing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"
