"""A JSON state document in memory: parsed, indexed, and encoded again.

Muster writes each task on its own line. When another process has changed the file, only the
changed lines are parsed. Any other JSON of the same structure is read too.

A task that can't be read is set aside: it stays in the document unchanged, no agent gets it, and
all other tasks can still be used.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import cast

from ...messages import TaskStatus
from .entry_checks import EntrySummary, check_document, make_line, read_line, unreadable
from .json_text import (
    InvalidStateDocument,
    encode_json,
    parse_json,
    parse_object,
    split_members,
)
from .table import StatusCounts, TaskEntry

WORKFLOW_TYPE = "generic"
"""The workflow type of a new document; an existing one keeps its own."""

_BEGINNING = b'{"workflow_type": '
_BEFORE_TASKS = b', "tasks": {'
_BETWEEN_TASKS = b",\n"
_END = b"\n}}\n"


class StateDocument:
    """A state document in memory.

    Args:
        content: the document as bytes.

    Raises:
        InvalidStateDocument: the content is not a state document.
    """

    def __init__(self, content: bytes) -> None:
        self.is_changed = False
        """Whether a task or the metadata was changed, which must be written."""
        self._clear()
        self.refresh(content)

    def _clear(self) -> None:
        self._head = b""
        self._top: TaskEntry = {}
        self._lines: list[bytes] = []
        self._summaries: list[EntrySummary] = []
        self._positions: dict[str, int] = {}
        self._pending: dict[str, set[int]] = {}
        self._in_progress: set[int] = set()
        self._set_aside: dict[str, str] = {}
        self._has_duplicates = False

    # ------------------------------------------------------------------ decoding and encoding

    def refresh(self, content: bytes) -> None:
        """Take over a newer version; of one that Muster wrote, only changed lines are parsed.

        Raises:
            InvalidStateDocument: the content is not a state document; do not use this object any
                more.
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
            except InvalidStateDocument:
                # Another program may have changed only the lines in between.
                pass
            else:
                return
        self._read_foreign(content)

    def _read_lines(self, head: bytes, lines: list[bytes]) -> None:
        if head != self._head:
            self._top = check_document(parse_json(head + b"}}", "its first line"))
            self._head = head
        if not self._update_lines(lines):
            top = self._top
            self._clear()
            self._top, self._head = top, head
            for line in lines:
                self._append(line, read_line(line))

    def _update_lines(self, lines: list[bytes]) -> bool:
        """Take over changed and appended lines; False if tasks were removed or reordered."""
        known = len(self._lines)
        if len(lines) < known or self._has_duplicates:
            return False
        for position, (old, new) in enumerate(zip(self._lines, lines, strict=False)):
            if old != new:
                summary = read_line(new)
                if summary.task_id != self._summaries[position].task_id:
                    return False
                self._put(position, new, summary)
        for line in lines[known:]:
            self._append(line, read_line(line))
        return True

    def _read_foreign(self, content: bytes) -> None:
        self._clear()
        try:
            self._top = check_document(parse_json(content))
            tasks = cast("TaskEntry", self._top["tasks"])
            self._top["tasks"] = {}
            self._head = self._encode_head()
            for task_id, entry in tasks.items():
                self._append(*make_line(task_id, entry))
        except InvalidStateDocument as fault:
            self._clear()
            self._read_task_by_task(content, fault)

    def _read_task_by_task(self, content: bytes, fault: InvalidStateDocument) -> None:
        """Read every task that can be read, and set aside the others."""
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
        self._top = check_document({"tasks": {}, **parse_object(f"{{{others}}}")})
        self._head = self._encode_head()
        for name, value in split_members(tasks[0]):
            line = f"{name}: {value}".encode("utf-8", "surrogatepass")
            summary = read_line(line)
            if not summary.fault:
                # Encoded in ASCII, as all lines that Muster writes.
                entry = parse_object(b"{%b}" % line)[summary.task_id]
                line, summary = make_line(summary.task_id, entry)
            self._append(line, summary)

    def encode(self) -> tuple[bytes, ...]:
        """Encode the document, in parts, which saves joining megabytes."""
        return self._head, b"\n", _BETWEEN_TASKS.join(self._lines), _END

    def _encode_head(self) -> bytes:
        first = ("workflow_type", "metadata")
        ordered = {name: self._top[name] for name in first}
        ordered |= {name: self._top[name] for name in self._top if name not in (*first, "tasks")}
        return encode_json(ordered)[:-1] + _BEFORE_TASKS

    # ------------------------------------------------------------------ tasks

    def find(self, task_id: str) -> TaskEntry | None:
        """A copy of a task; None if no task has this id.

        Raises:
            UnreadableTask: the task was set aside.
        """
        position = self._positions.get(task_id)
        if position is None:
            return None
        fault = self._summaries[position].fault
        if fault:
            raise unreadable(task_id, fault)
        entry = json.loads(b"{%b}" % self._lines[position])[task_id]
        return cast("TaskEntry", entry)

    def add(self, task_id: str, entry: TaskEntry) -> None:
        """Add a task under a new id."""
        self.is_changed = True
        self._append(*make_line(task_id, entry))

    def replace(self, task_id: str, entry: TaskEntry) -> None:
        """Replace a task by a changed one."""
        self.is_changed = True
        self._put(self._positions[task_id], *make_line(task_id, entry))

    def remove(self, task_ids: Collection[str]) -> None:
        """Remove tasks; the others keep their order."""
        self.is_changed = True
        kept = [
            (line, summary)
            for line, summary in zip(self._lines, self._summaries, strict=True)
            if summary.task_id not in task_ids
        ]
        top, head = self._top, self._head
        self._clear()
        self._top, self._head = top, head
        for line, summary in kept:
            self._append(line, summary)

    def next_pending(self, task_types: Sequence[str] | None, now: float) -> str | None:
        """The id of the first pending task of these types, or of any type if None is given."""
        # A document has no scheduled tasks.
        del now
        types = self._pending if task_types is None else task_types
        first = min(
            (min(positions) for each in types if (positions := self._pending.get(each))),
            default=None,
        )
        return None if first is None else self._summaries[first].task_id

    def held_since_before(self, moment: float) -> list[str]:
        """The ids of the tasks in progress that were locked before a given time."""
        return [each.task_id for each in self._held() if each.locked_at < moment]

    def held_by(self, agent_id: str) -> list[str]:
        """The ids of the tasks in progress that an agent holds."""
        return [each.task_id for each in self._held() if each.locked_by == agent_id]

    def _held(self) -> Iterable[EntrySummary]:
        return (self._summaries[position] for position in sorted(self._in_progress))

    def with_status(self, status: TaskStatus | None, limit: int | None) -> list[str]:
        """The ids of the first readable tasks of one status, or of any."""
        found = (
            each.task_id
            for each in self._summaries
            if each.status and status in {None, each.status}
        )
        return list(islice(found, limit))

    def settled_before(self, moment: float, statuses: Collection[TaskStatus]) -> list[str]:
        """The ids of the tasks with these statuses that were settled before a given time."""
        return [
            each.task_id
            for each in self._summaries
            if each.status in statuses and each.settled_at is not None and each.settled_at < moment
        ]

    def families(self) -> list[tuple[str, str]]:
        """The id of each task that has a parent, with the id of the parent."""
        return [
            (each.task_id, each.parent_id) for each in self._summaries if each.parent_id is not None
        ]

    def set_aside(self) -> dict[str, str]:
        """The reason why each unreadable task can't be read, by its id."""
        return dict(self._set_aside)

    def children(self, parent_id: str) -> list[str]:
        """The ids of the tasks that have this parent."""
        return [each.task_id for each in self._summaries if each.parent_id == parent_id]

    def tallies(self) -> StatusCounts:
        """How many tasks there are, by status and by type."""
        return StatusCounts(
            Counter(each.status.value for each in self._summaries if each.status),
            Counter(each.task_type for each in self._summaries if each.status),
        )

    # ------------------------------------------------------------------ metadata

    def metadata(self) -> TaskEntry:
        """A copy of the metadata of the workflow."""
        return cast("TaskEntry", json.loads(encode_json(self._top["metadata"])))

    def replace_metadata(self, metadata: TaskEntry) -> None:
        """Replace the metadata of the workflow."""
        self.is_changed = True
        self._top["metadata"] = metadata
        self._head = self._encode_head()

    # ------------------------------------------------------------------ the index

    def _append(self, line: bytes, summary: EntrySummary) -> None:
        position = len(self._lines)
        first = self._positions.get(summary.task_id)
        if first is not None:
            # Nobody can tell which of the two is valid.
            self._has_duplicates = True
            summary = EntrySummary(summary.task_id, fault="its id occurs twice")
            self._put(first, self._lines[first], summary)
        else:
            self._positions[summary.task_id] = position
        self._lines.append(line)
        self._summaries.append(summary)
        self._index(position, summary)

    def _put(self, position: int, line: bytes, summary: EntrySummary) -> None:
        before = self._summaries[position]
        if before.status is TaskStatus.PENDING:
            self._pending[before.task_type].discard(position)
        self._in_progress.discard(position)
        self._set_aside.pop(before.task_id, None)
        self._lines[position] = line
        self._summaries[position] = summary
        self._index(position, summary)

    def _index(self, position: int, summary: EntrySummary) -> None:
        if summary.fault:
            self._set_aside[summary.task_id] = summary.fault
        elif summary.status is TaskStatus.PENDING:
            self._pending.setdefault(summary.task_type, set()).add(position)
        elif summary.status is TaskStatus.IN_PROGRESS:
            self._in_progress.add(position)


def encode_empty(initialized_at: str) -> tuple[bytes, ...]:
    """Encode a new document without tasks.

    Args:
        initialized_at: the timestamp of its creation.
    """
    metadata: TaskEntry = {"initialized_at": initialized_at, "last_updated": initialized_at}
    document: TaskEntry = {"workflow_type": WORKFLOW_TYPE, "metadata": metadata}
    return encode_json(document)[:-1], _BEFORE_TASKS, b"\n", _END
