"""Finds the sequence diagrams in a document, and the run that each of them shows.

In Markdown a comment before the diagram names the run: `<!-- check: SCENARIO -->`, with arguments
of the scenario after its name; or `<!-- not checked: REASON -->`. A comment of this kind that has
no diagram after it is an error, since its author believes that something is checked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import NamedTuple

from ...messages import InvalidDiagram
from .sequence_model import SequenceDiagram
from .sequence_syntax import HEADER, read_sequence

_FENCE = re.compile(r"(\s*)(`{3,}|~{3,})\s*(\S*)")
_MARK = re.compile(r"\s*<!--\s*(check|not checked):\s*(?:(.*?)\s*-->)?")
_EXEMPTING = "not checked"
_BLANK_OR_COMMENT = re.compile(r"\s*(?:%%.*)?")


class _Mark(NamedTuple):
    line: int
    keyword: str
    value: str

    def lacks_diagram(self, reason: str) -> InvalidDiagram:
        return InvalidDiagram(
            self.line,
            f"the mark {self.keyword!r} is not before a diagram that can be checked: {reason}; put "
            "it directly before a block that begins with ```mermaid and has a sequenceDiagram, or "
            "remove it",
        )


@dataclass(frozen=True, slots=True)
class FoundDiagram:
    """A diagram in a document.

    Args:
        diagram: the diagram.
        run: the name of the scenario that it shows, and its arguments; empty if it names none.
        exempt: why it must not be checked; "" if it must be.
    """

    diagram: SequenceDiagram
    run: tuple[str, ...] = ()
    exempt: str = ""


def find_diagrams(text: str, name: str) -> list[FoundDiagram]:
    """Find the sequence diagrams in a document.

    Args:
        text: the document.
        name: the name of its file; a file `.mmd` is one diagram as a whole.

    Raises:
        InvalidDiagram: a diagram is invalid, a block has no end, or a mark has no diagram; names
            the file and the line.
    """
    try:
        if PurePath(name).suffix.lower() == ".mmd":
            return [FoundDiagram(read_sequence(text))]
        return _in_markdown(text)
    except InvalidDiagram as fault:
        raise InvalidDiagram(fault.line, fault.problem, name) from None


def _in_markdown(text: str) -> list[FoundDiagram]:
    found: list[FoundDiagram] = []
    mark: _Mark | None = None
    fence, is_mermaid, began, body = "", False, 0, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        opening = _FENCE.match(line)
        if fence:
            if line.strip().startswith(fence) and not line.strip().strip(fence[0]):
                if is_mermaid and _is_sequence(body):
                    found.append(_found("\n".join(body), began + 1, mark))
                elif mark is not None and not (is_mermaid and mark.keyword == _EXEMPTING):
                    kind = "no sequence diagram" if is_mermaid else "no mermaid block"
                    raise mark.lacks_diagram(f"the block on line {began} is {kind}")
                fence, mark = "", None
            else:
                body.append(line)
        elif opening:
            fence, is_mermaid = opening[2], opening[3].lower() == "mermaid"
            began, body = number, []
        elif marked := _MARK.match(line):
            if mark is not None:
                raise mark.lacks_diagram(f"another mark follows on line {number}")
            if marked[2] is None:
                raise InvalidDiagram(number, "this mark has no '-->' on its line; put it there")
            mark = _Mark(number, marked[1], marked[2])
        elif line.strip() and mark is not None:
            raise mark.lacks_diagram(f"line {number} is no block")
    if fence and (is_mermaid or mark is not None):
        raise InvalidDiagram(began, f"the block that begins here with {fence!r} has no end")
    if mark is not None:
        raise mark.lacks_diagram("nothing follows it")
    return found


def _is_sequence(body: list[str]) -> bool:
    first = next((line for line in body if not _BLANK_OR_COMMENT.fullmatch(line)), "")
    return first.strip() == HEADER or (first.strip() == "---" and HEADER in map(str.strip, body))


def _found(source: str, first_line: int, mark: _Mark | None) -> FoundDiagram:
    diagram = read_sequence(source, first_line)
    if mark is None:
        return FoundDiagram(diagram)
    if not mark.value:
        raise InvalidDiagram(
            first_line - 1, f"the mark {mark.keyword!r} before this diagram has no value"
        )
    return (
        FoundDiagram(diagram, exempt=mark.value)
        if mark.keyword == _EXEMPTING
        else FoundDiagram(diagram, tuple(mark.value.split()))
    )
