"""Finds the sequence diagrams in a document, and the run that each of them shows.

In Markdown a comment before the diagram names the run: `<!-- check: SCENARIO -->`, with arguments
of the scenario after its name; or `<!-- not checked: REASON -->`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath

from ...messages import InvalidDiagram
from .sequence_model import SequenceDiagram
from .sequence_syntax import HEADER, read_sequence

_FENCE = re.compile(r"(\s*)(`{3,}|~{3,})\s*(\S*)")
_MARK = re.compile(r"<!--\s*(check|not checked):\s*(.*?)\s*-->")
_BLANK_OR_COMMENT = re.compile(r"\s*(?:%%.*)?")


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
        InvalidDiagram: a diagram is invalid, or a block has no end; names the file and the line.
    """
    try:
        if PurePath(name).suffix.lower() == ".mmd":
            return [FoundDiagram(read_sequence(text))]
        return _in_markdown(text)
    except InvalidDiagram as fault:
        raise InvalidDiagram(fault.line, fault.problem, name) from None


def _in_markdown(text: str) -> list[FoundDiagram]:
    found: list[FoundDiagram] = []
    mark: tuple[str, str] | None = None
    fence, is_mermaid, began, body = "", False, 0, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        opening = _FENCE.match(line)
        if fence:
            if line.strip().startswith(fence) and not line.strip().strip(fence[0]):
                if is_mermaid and _is_sequence(body):
                    found.append(_found("\n".join(body), began + 1, mark))
                fence, mark = "", None
            else:
                body.append(line)
        elif opening:
            fence, is_mermaid = opening[2], opening[3] == "mermaid"
            began, body = number, []
        elif marked := _MARK.search(line):
            mark = (marked[1], marked[2])
        elif line.strip():
            # A mark comes directly before its diagram.
            mark = None
    if fence and is_mermaid:
        raise InvalidDiagram(began, f"the block that begins here with {fence!r} has no end")
    return found


def _is_sequence(body: list[str]) -> bool:
    first = next((line for line in body if not _BLANK_OR_COMMENT.fullmatch(line)), "")
    return first.strip() == HEADER or (first.strip() == "---" and HEADER in map(str.strip, body))


def _found(source: str, first_line: int, mark: tuple[str, str] | None) -> FoundDiagram:
    diagram = read_sequence(source, first_line)
    if mark is None:
        return FoundDiagram(diagram)
    keyword, value = mark
    if not value:
        raise InvalidDiagram(
            first_line - 1, f"the mark {keyword!r} before this diagram has no value"
        )
    return (
        FoundDiagram(diagram, exempt=value)
        if keyword == "not checked"
        else FoundDiagram(diagram, tuple(value.split()))
    )
