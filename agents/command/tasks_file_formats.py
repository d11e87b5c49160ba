"""The formats of tasks files, JSONL, JSON and CSV: reads them as rows with line numbers."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain
from typing import BinaryIO, NamedTuple, TypeAlias, cast

from ...messages import MAX_MESSAGE_BYTES, Payload, Task, TaskId
from ...messages.wording import show
from ..runtime.strict_json import JsonFault, decode_json, decode_json_at, describe_json_fault
from .retry_text import read_retry_fields
from .skill_options import add_named_level

MAX_PROBLEMS = 10
"""How many problems of a file are reported."""

CLASS_FIELD = "class"
"""The field that names the class of a task, if it is not `Task`."""

# At most 100 digits, because Python limits the digits that `int` parses.
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,99})")
_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?|NaN|-?Infinity")
_JSON_OPENINGS = '{["'
_DELIMITERS = (",", ";", "\t")
_KNOWN_NAMES = (*Task.model_fields, CLASS_FIELD)
_MAX_NAMES_SHOWN = 5


class TaskFileRow(NamedTuple):
    """The fields of one task in a file, and their place, such as "line 3"."""

    place: str
    fields: dict[str, Payload]


@dataclass(slots=True)
class Problems:
    """The problems found in a file so far."""

    messages: list[str] = field(default_factory=list[str])
    is_cut_short: bool = False

    @property
    def is_full(self) -> bool:
        """Whether the maximum number of problems is reached."""
        return len(self.messages) >= MAX_PROBLEMS

    def add(self, place: str, problem: str) -> None:
        """Add a problem, unless the maximum is reached."""
        if not self.is_full:
            self.messages.append(f"{place}: {problem}" if place else problem)

    def stop(self, place: str, problem: str) -> None:
        """Add a problem after which the rest of the file can't be read."""
        self.add(place, problem)
        self.is_cut_short = True


Reader: TypeAlias = Callable[[BinaryIO, Problems], Iterator[TaskFileRow]]


def unknown_field(name: object, known: Sequence[str]) -> str:
    """The message for an unknown field, with the known fields and the most similar of them."""
    similar = get_close_matches(str(name), known, n=1)
    question = f"; did you mean {similar[0]!r}?" if similar else ";"
    return f"there is no field {show(name)}{question} known: {', '.join(known)}"


# ------------------------------------------------------------------------ JSON


def read_jsonl(file: BinaryIO, problems: Problems) -> Iterator[TaskFileRow]:
    """Read a file with one JSON object per line."""
    for number, line in enumerate(_lines(file, problems), start=1):
        if not line.strip():
            continue
        place = f"line {number}"
        try:
            value = decode_json(line.strip())
        except JsonFault as fault:
            problems.add(place, f"column {fault.colno}: not JSON: {fault.msg}")
        else:
            yield from _object_row(place, value, problems)


def read_json(file: BinaryIO, problems: Problems) -> Iterator[TaskFileRow]:
    """Read a file with a JSON list of objects, or an object whose only field is such a list."""
    content = file.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        problems.stop(f"line {line}", _describe_bad_byte(fault))
        return
    if not text.strip():
        return
    scanner = _JsonScanner(text)
    try:
        for number, (line, value) in enumerate(scanner.elements(), start=1):
            yield from _object_row(f"task {number} (line {line})", value, problems)
    except JsonFault as fault:
        problems.stop(f"line {fault.lineno}, column {fault.colno}", f"not JSON: {fault.msg}")


class _JsonScanner:
    """Parses the list of a JSON document element by element, with line numbers."""

    def __init__(self, text: str) -> None:
        self.line = 1
        self._text = text
        self._at = 0
        self._counted_to = 0

    def elements(self) -> Iterator[tuple[int, Payload]]:
        """Each element of the list, with the line on which it starts."""
        if self._next() == "{":
            yield from self._list_in_object()
        else:
            yield from self._list()
        if self._next():
            raise JsonFault("there is more text after its end", self._text, self._at)

    def _list(self) -> Iterator[tuple[int, Payload]]:
        self._take("[", "expected a list of tasks, or an object with the field 'tasks'")
        if self._next() == "]":
            self._at += 1
            return
        while True:
            self._next()
            yield self.line, self._value()
            if self._next() == "]":
                self._at += 1
                return
            self._take(",", "expected ',' or ']'")

    def _list_in_object(self) -> Iterator[tuple[int, Payload]]:
        self._take("{", "expected '{'")
        begins_at = self._at
        name = self._value() if self._next() == '"' else None
        if name != "tasks":
            raise JsonFault("expected the field 'tasks'", self._text, begins_at)
        self._take(":", "expected ':'")
        yield from self._list()
        self._take("}", "expected '}', since 'tasks' must be the only field")

    def _next(self) -> str:
        """The next character that is not whitespace, or "" at the end."""
        while self._text.startswith(_WHITE_SPACE, self._at):
            self._at += 1
        self.line += self._text.count("\n", self._counted_to, self._at)
        self._counted_to = self._at
        return self._text[self._at : self._at + 1]

    def _take(self, character: str, expected: str) -> None:
        if self._next() != character:
            raise JsonFault(expected, self._text, self._at)
        self._at += 1

    def _value(self) -> Payload:
        self._next()
        value, self._at = decode_json_at(self._text, self._at)
        return value


def _object_row(place: str, value: Payload, problems: Problems) -> Iterator[TaskFileRow]:
    if isinstance(value, dict):
        yield TaskFileRow(place, cast("dict[str, Payload]", value))
    else:
        problems.add(place, f"{show(value)}: must be an object with the fields of a task")


_WHITE_SPACE = (" ", "\t", "\r", "\n")


# ------------------------------------------------------------------------ CSV


def read_csv(file: BinaryIO, problems: Problems) -> Iterator[TaskFileRow]:
    """Read a file with a header, then a line of cells for each task; empty cells are ignored."""
    header: list[str] = []
    rows: list[tuple[str, dict[str, str]]] = []
    for place, values in _read_cells(file, problems):
        if not header:
            header = [name.strip() for name in values]
            _check_header(place, header, problems)
            if problems.is_cut_short:
                return
        elif len(values) != len(header):
            problems.add(place, f"{len(values)} cells, but the header has {len(header)}")
        else:
            rows.append((place, dict(zip(header, values, strict=True))))
    # An id may contain what separates ids, so all of them are read first.
    known = {_id_in(cells.get("id", "").strip()) for _, cells in rows}
    for place, cells in rows:
        yield from _cells_row(place, cells, known, problems)


def _read_cells(file: BinaryIO, problems: Problems) -> Iterator[tuple[str, list[str]]]:
    """The cells of each line that has some, with the line's place."""
    lines = _lines(file, problems)
    leading = list(_up_to_text(lines))
    delimiter = _find_delimiter(leading[-1]) if leading else ","
    cells = csv.reader(chain(leading, lines), delimiter=delimiter, strict=True)
    begins_on = 1
    try:
        for values in cells:
            place, begins_on = f"line {begins_on}", cells.line_num + 1
            if any(value.strip() for value in values):
                yield place, values
    except csv.Error as fault:
        problems.stop(f"line {begins_on}", _describe_csv_fault(fault))


def _up_to_text(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line
        if line.strip():
            return


def _find_delimiter(header: str) -> str:
    """The delimiter with which most of the names in a header are those of fields."""

    def count_known(delimiter: str) -> int:
        names = (name.strip().strip('"') for name in header.split(delimiter))
        return sum(name in _KNOWN_NAMES for name in names)

    return max(_DELIMITERS, key=count_known)


def _check_header(place: str, header: Sequence[str], problems: Problems) -> None:
    # With a column for the class, each row may have other fields.
    unknown = [] if CLASS_FIELD in header else [name for name in header if name not in _KNOWN_NAMES]
    if len(unknown) == len(header):
        problems.stop(
            place,
            f"none of {', '.join(map(show, header[:_MAX_NAMES_SHOWN]))} is a field of a task; the "
            "first line must name the columns, separated by commas, semicolons or tabs, such as "
            f"id,type,data; known: {', '.join(_KNOWN_NAMES)}",
        )
        return
    for name in unknown:
        problems.stop(place, unknown_field(name, _KNOWN_NAMES))
    for name in dict.fromkeys(name for name in header if header.count(name) > 1):
        problems.stop(place, f"there are two columns {show(name)}")


def _cells_row(
    place: str, cells: Mapping[str, str], known: Container[TaskId], problems: Problems
) -> Iterator[TaskFileRow]:
    fields: dict[str, Payload] = {}
    for name, cell in cells.items():
        text = cell.strip()
        if not text:
            continue
        reader = _CELL_READERS.get(name)
        try:
            if name == "depends_on":
                fields[name] = _ids_in(text, known)
            else:
                fields[name] = reader(text) if reader else cell if name == "description" else text
        except ValueError as fault:
            problems.add(place, f"{name}: {show(text)}: {fault}")
            return
    yield TaskFileRow(place, fields)


def _id_in(text: str) -> TaskId:
    return int(text) if _INTEGER.fullmatch(text) else text


def _ids_in(text: str, known: Container[TaskId]) -> list[TaskId]:
    """Ids separated by semicolons, commas or blanks, except where these belong to a known id."""
    if _id_in(text) in known:
        return [_id_in(text)]
    for separator in (";", ",", None):
        parts = [part.strip() for part in text.split(separator) if part.strip()]
        if parts != [text]:
            return [task_id for part in parts for task_id in _ids_in(part, known)]
    return [_id_in(text)]


def _json_in(text: str) -> Payload:
    try:
        return decode_json(text)
    except JsonFault as fault:
        raise ValueError(f"not JSON: {describe_json_fault(fault)}") from None


def _data_in(text: str) -> Payload:
    """JSON, or else text; what was surely meant as JSON must be it."""
    try:
        return decode_json(text)
    except JsonFault as fault:
        if text[0] in _JSON_OPENINGS or _JSON_NUMBER.fullmatch(text):
            raise ValueError(
                f"not JSON: {describe_json_fault(fault)}; mend it, or write a text that looks "
                f"like this as JSON, in double quotes"
            ) from None
        return text


def _names_in(text: str) -> Payload:
    """Names separated by semicolons, since a name may contain spaces; or JSON."""
    if text.startswith("["):
        return _json_in(text)
    return [each.strip() for each in text.split(";") if each.strip()]


def _levels_in(text: str) -> Payload:
    """Names with levels, such as "vision=7; text=4"; or JSON."""
    if text.startswith("{"):
        return _json_in(text)
    levels: dict[str, float] = {}
    for each in text.split(";"):
        if each.strip():
            add_named_level(each, levels)
    return levels


_CELL_READERS: Mapping[str, Callable[[str], Payload]] = {
    "id": _id_in,
    "parent_id": _id_in,
    "data": _data_in,
    "votes": _id_in,
    "escalate": _names_in,
    "required_skills": _levels_in,
    "retry": read_retry_fields,
}
"""What reads the cells of a column, if they are more than text for pydantic."""


def _describe_csv_fault(fault: csv.Error) -> str:
    if "field limit" in str(fault):
        limit = f"{csv.field_size_limit():,}"
        return f"a cell has over {limit} characters; use a .jsonl file for data of that size"
    return f"not CSV: {fault}"


# ------------------------------------------------------------------------ lines of text


def _lines(file: BinaryIO, problems: Problems) -> Iterator[str]:
    """Each line as text, up to the first that is not valid UTF-8."""
    encoding = "utf-8-sig"
    for number, line in enumerate(iter(lambda: file.readline(MAX_MESSAGE_BYTES), b""), start=1):
        if len(line) == MAX_MESSAGE_BYTES:
            problems.stop(
                f"line {number}", f"over {MAX_MESSAGE_BYTES:,} bytes, too long for a task"
            )
            return
        try:
            yield line.decode(encoding)
        except UnicodeDecodeError as fault:
            problems.stop(f"line {number}", _describe_bad_byte(fault))
            return
        encoding = "utf-8"


def _describe_bad_byte(fault: UnicodeDecodeError) -> str:
    byte = fault.object[fault.start]
    return f"the byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"


READERS: Mapping[str, Reader] = {".jsonl": read_jsonl, ".json": read_json, ".csv": read_csv}
"""The reader for each file extension."""
