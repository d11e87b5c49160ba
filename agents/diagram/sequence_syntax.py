"""Parses sequence diagrams in Mermaid's syntax, and rejects unknown constructs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ...messages import InvalidDiagram
from ...messages.wording import show
from .escaping import unescape
from .sequence_model import (
    BRANCH_WORDS,
    Activation,
    Arrow,
    Block,
    BlockKind,
    Branch,
    DiagramStep,
    Note,
    Participant,
    SequenceDiagram,
    SequenceMessage,
)

HEADER = "sequenceDiagram"
MAX_LINE_CHARACTERS = 10_000
MAX_DEPTH = 30
"""How deeply blocks may be nested."""

# Longer ones first: "->" begins "->>" as well.
_ARROW = re.compile(r"-->>|->>|-->|->|--x|-x|--\)|-\)")
_TWO_WAYS = re.compile(r"<<--?>>")
_NAME = re.compile(r"[^\s+\-<>:,;#(){}\"'@](?:[^+<>:,;#(){}\"@]*[^\s+\-<>:,;#(){}\"@])?")
_NOTE = re.compile(r"note\s+(over|left\s+of|right\s+of)\s+([^:]*):(.*)", re.IGNORECASE)
_ENTITY_OR_END = re.compile(r"#\w{1,32};|[#;]")
_BRANCH_KINDS = {word: kind for kind, word in BRANCH_WORDS.items()}
_BLOCK_KINDS = {kind.value: kind for kind in BlockKind}


def read_sequence(text: str, first_line: int = 1) -> SequenceDiagram:
    """Parse a diagram.

    Args:
        text: its source, with front matter and directives or from `sequenceDiagram` on.
        first_line: the line of its file at which the source begins.

    Raises:
        InvalidDiagram: it is not a sequence diagram, or has an unsupported construct; names the
            line and the construct.
    """
    return _Reader().read(text, first_line)


@dataclass
class _OpenBlock:
    kind: BlockKind | None
    line: int
    label: str
    branch_line: int
    steps: list[DiagramStep] = field(default_factory=list[DiagramStep])
    branches: list[Branch] = field(default_factory=list[Branch])

    def end_branch(self) -> None:
        self.branches.append(Branch(self.label, tuple(self.steps), self.branch_line))


class _Reader:
    def __init__(self) -> None:
        self._participants: dict[str, Participant] = {}
        self._steps: list[DiagramStep] = []
        self._open: list[_OpenBlock] = []
        self._title = ""
        self._is_numbered = False
        self._line = 0

    def read(self, text: str, first_line: int) -> SequenceDiagram:
        header_line = 0
        for self._line, statement in _statements(text, first_line):
            if header_line:
                self._take(statement)
            elif statement == HEADER:
                header_line = self._line
            else:
                raise self._error(f"{show(statement)} comes before {HEADER!r}")
        if not header_line:
            raise InvalidDiagram(first_line, f"there is no {HEADER!r}")
        if self._open:
            block = self._open[-1]
            word = "box" if block.kind is None else block.kind.value
            raise InvalidDiagram(block.line, f"this {word!r} has no 'end'")
        return SequenceDiagram(
            tuple(self._participants.values()),
            tuple(self._steps),
            self._title,
            self._is_numbered,
            header_line,
            self._line,
        )

    def _take(self, statement: str) -> None:
        word, *after = statement.split(None, 1)
        rest = after[0] if after else ""
        match word.lower():
            case "participant" | "actor" if not _ARROW.search(word):
                self._declare(rest, is_actor=word.lower() == "actor")
            case "note":
                self._note(statement)
            case "activate" | "deactivate":
                self._add(Activation(self._known(rest), word.lower() == "activate", self._line))
            case "autonumber":
                if not re.fullmatch(r"(?:\d+(?:\s+\d+)?|off)?", rest):
                    raise self._error(f"{show(statement)}: autonumber takes numbers or 'off'")
                self._is_numbered = rest != "off"
            case "title":
                self._title = unescape(rest.removeprefix(":"))
            case "title:":
                self._title = unescape(rest)
            case "box":
                self._begin(None, rest)
            case "end" if not rest:
                self._end()
            case lowered if lowered in _BLOCK_KINDS:
                self._begin(_BLOCK_KINDS[lowered], rest)
            case lowered if lowered in _BRANCH_KINDS:
                self._branch(lowered, rest)
            case _:
                if statement.lower().startswith("title:"):
                    self._title = unescape(statement[len("title:") :])
                else:
                    self._message(statement)

    # ------------------------------------------------------------------ statements

    def _declare(self, rest: str, *, is_actor: bool) -> None:
        name, *label = re.split(r"\s+as\s+", rest, maxsplit=1)
        name = self._name(name)
        shown = unescape(label[0]) if label else name
        self._participants[name] = Participant(name, shown, is_actor, self._line)

    def _message(self, statement: str) -> None:
        if _TWO_WAYS.search(statement):
            raise self._error(f"a two-headed arrow in {show(statement)}; draw two messages")
        arrow = _ARROW.search(statement)
        if arrow is None:
            word = statement.split(maxsplit=1)[0]
            raise self._error(f"{show(word)} in {show(statement)} is not supported")
        sender, rest = statement[: arrow.start()].strip(), statement[arrow.end() :].strip()
        activation = rest[:1] if rest[:1] in ("+", "-") else ""
        receiver, colon, text = rest[len(activation) :].partition(":")
        if not colon:
            raise self._error(f"the message {show(statement)} has no ':' and text")
        ends = (self._known(sender), self._known(receiver))
        kind = Arrow(arrow[0])
        self._add(SequenceMessage(*ends, unescape(text), kind, activation, self._line))

    def _note(self, statement: str) -> None:
        found = _NOTE.fullmatch(statement)
        if found is None:
            raise self._error(
                f"{show(statement)} is not a note; write 'Note over A,B: text', or 'left of' or "
                "'right of' one participant"
            )
        place = " ".join(found[1].lower().split())
        names = tuple(self._known(name) for name in found[2].split(","))
        if len(names) > (2 if place == "over" else 1):
            raise self._error(f"a note can't be {place} {len(names)} participants")
        self._add(Note(place, names, unescape(found[3]), self._line))

    def _begin(self, kind: BlockKind | None, label: str) -> None:
        if len(self._open) == MAX_DEPTH:
            raise self._error(f"blocks are nested more than {MAX_DEPTH} levels deep")
        if kind is None and self._open:
            raise self._error("a 'box' can't be inside a block")
        self._open.append(_OpenBlock(kind, self._line, unescape(label), self._line))

    def _branch(self, word: str, label: str) -> None:
        block = self._open[-1] if self._open else None
        if block is None or block.kind is not _BRANCH_KINDS[word]:
            raise self._error(f"{word!r} without a {_BRANCH_KINDS[word].value!r} around it")
        block.end_branch()
        block.label, block.branch_line, block.steps = unescape(label), self._line, []

    def _end(self) -> None:
        if not self._open:
            raise self._error("'end' without a block that it ends")
        block = self._open.pop()
        block.end_branch()
        if block.kind is not None:
            self._add(Block(block.kind, tuple(block.branches), block.line))

    # ------------------------------------------------------------------ parts

    def _add(self, step: DiagramStep) -> None:
        if self._open and self._open[-1].kind is None:
            raise self._error("a 'box' can only have participants")
        (self._open[-1].steps if self._open else self._steps).append(step)

    def _known(self, name: str) -> str:
        """The id of a participant; an undeclared participant is declared by its first use."""
        name = self._name(name)
        self._participants.setdefault(name, Participant(name, name, line=self._line))
        return name

    def _name(self, name: str) -> str:
        name = name.strip()
        if not _NAME.fullmatch(name):
            raise self._error(f"{show(name)} is not the name of a participant")
        return name

    def _error(self, problem: str) -> InvalidDiagram:
        return InvalidDiagram(self._line, problem)


def _statements(text: str, first_line: int) -> Iterator[tuple[int, str]]:
    """The statements with their lines, without comments, directives and front matter."""
    closing = ""
    for number, raw in enumerate(re.split(r"\r\n|\r|\n", text), start=first_line):
        line = raw.strip()
        if len(line) > MAX_LINE_CHARACTERS:
            raise InvalidDiagram(
                number,
                f"the line has {len(line):,} characters; the limit is {MAX_LINE_CHARACTERS:,}",
            )
        if closing:
            closing = "" if line.endswith(closing) else closing
        elif line == "---" and number == first_line:
            closing = "---"
        elif line.startswith("%%{"):
            closing = "" if line.endswith("}%%") else "}%%"
        elif not line.startswith("%%"):
            yield from ((number, each) for each in _divide(line))


def _divide(line: str) -> Iterator[str]:
    """The statements of a line: they end with ";", and "#" begins a comment unless it escapes."""
    begin = 0
    for found in _ENTITY_OR_END.finditer(line):
        if len(found[0]) > 1:
            continue
        if statement := line[begin : found.start()].strip():
            yield statement
        begin = found.end()
        if found[0] == "#":
            return
    if statement := line[begin:].strip():
        yield statement
