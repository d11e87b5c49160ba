"""Reads the schedules of a manager from a file, and reports all of its problems at once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from pydantic import ValidationError

from ...messages import EncodeError, InvalidInput, Payload, Task
from ...messages.codec import pack_task, summarize
from ...messages.wording import show
from ..kernel.model.schedules import ScheduleTerms
from ..manager.task_manager import TaskManager
from ..runtime.strict_json import JsonFault, decode_json, describe_json_fault
from ..schedules.terms import check_name, check_terms

MAX_FILE_BYTES = 16 * 1024**2
"""The maximum size of a schedules file."""

_MAX_PROBLEMS = 10
_TERMS = ("cron", "every_s", "tz", "missed", "overlap")
_LISTS = ("schedules", "schedule")


class FileSchedule(NamedTuple):
    """A schedule of a file.

    Args:
        name: its name.
        terms: when it is due.
        task: its task.
    """

    name: str
    terms: ScheduleTerms
    task: Task

    def declare(self, manager: TaskManager) -> None:
        """Add it to a manager."""
        cron, every_s, tz, missed, overlap = self.terms
        manager.schedule(
            self.name,
            cron=cron,
            every_s=every_s,
            tz=tz,
            missed=missed,
            overlap=overlap,
            make=self.task,
        )


def read_schedules(path: Path) -> list[FileSchedule]:
    """Read schedules from a file.

    Args:
        path: a `.json` file with a list of objects, or `{"schedules": [...]}`; or a `.toml` file
            with a table `[[schedules]]` for each. Each has a `name`, `cron` or `every_s`, perhaps
            `tz`, `missed` and `overlap`, and the fields of its task, such as `type` and `data`.

    Raises:
        InvalidInput: the file can't be read or is invalid. The message lists up to 10 problems.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InvalidInput(
            f"the schedules file {str(path)!r} has the extension {path.suffix!r}; it must be one "
            f"of {', '.join(_READERS)}"
        )
    try:
        content = reader(_read_bytes(path))
    except (OSError, ValueError) as fault:
        reason = (fault.strerror if isinstance(fault, OSError) else None) or str(fault)
        raise InvalidInput(f"the schedules file {str(path)!r} can't be read: {reason}") from None
    found: dict[str, FileSchedule] = {}
    problems: list[str] = []
    for number, entry in enumerate(_entries(path, content), 1):
        try:
            schedule = _read_entry(entry, found)
            found[schedule.name] = schedule
        except (InvalidInput, EncodeError) as fault:
            problems.append(f"schedule {number}: {fault}")
    if len(problems) == 1:
        raise InvalidInput(f"{path}: {problems[0]}")
    if problems:
        count = len(problems)
        told = f"the first {_MAX_PROBLEMS}" if count > _MAX_PROBLEMS else str(count)
        raise InvalidInput(f"{path}: {told} problems:", *problems[:_MAX_PROBLEMS])
    return list(found.values())


def _entries(path: Path, content: Payload) -> Sequence[object]:
    listed: object = content
    if isinstance(content, dict):
        fields = cast("dict[str, object]", content)
        if set(fields) <= set(_LISTS) and len(fields) == 1:
            (listed,) = fields.values()
    if not isinstance(listed, list) or not listed:
        raise InvalidInput(
            f"the schedules file {str(path)!r} has no list of schedules; write a list of objects, "
            'or {"schedules": [...]}, and in TOML a table [[schedules]] for each'
        )
    return cast("list[object]", listed)


def _read_bytes(path: Path) -> bytes:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"it has more than {MAX_FILE_BYTES:,} bytes")
    return path.read_bytes()


def _read_entry(entry: object, others: Container[object]) -> FileSchedule:
    if not isinstance(entry, dict):
        raise InvalidInput(f"it is {show(entry)}; it must be an object with name, cron and type")
    fields = dict(cast("Mapping[str, Payload]", entry))
    name: object = fields.pop("name", None)
    check_name(name)
    if name in others:
        raise InvalidInput(f"another schedule has the name {name!r} too; each needs its own")
    given = {each: fields.pop(each) for each in _TERMS if each in fields}
    defaults: dict[str, Payload] = {
        "cron": "",
        "every_s": None,
        "tz": "UTC",
        "missed": "all",
        "overlap": "queue",
    }
    terms = check_terms(str(name), **{**defaults, **given})
    if "id" in fields or "task_id" in fields:
        raise InvalidInput(
            f"schedule {name!r} has an id; leave it out: the ids of its tasks consist of its name "
            "and the due time"
        )
    try:
        task = Task.model_validate(fields)
    except ValidationError as fault:
        raise InvalidInput(f"the task of schedule {name!r}: {summarize(fault)}") from None
    pack_task(task)
    return FileSchedule(str(name), terms, task)


def _read_json(content: bytes) -> Payload:
    try:
        return decode_json(content)
    except JsonFault as fault:
        raise ValueError(describe_json_fault(fault)) from None


def _read_toml(content: bytes) -> Payload:
    if sys.version_info < (3, 11):
        raise ValueError("TOML needs Python 3.11 or later; write it as JSON")
    import tomllib  # noqa: PLC0415 - not every Python has it

    return tomllib.loads(content.decode())


_READERS: dict[str, Callable[[bytes], Payload]] = {".json": _read_json, ".toml": _read_toml}
