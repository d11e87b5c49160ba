"""What the text at an arrow claims of its message, such as "TaskAssignment(T1, difficulty=4)"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .run_messages import MessageKind, Said

_LABEL = re.compile(r"([A-Za-z][A-Za-z ]*?)\s*(?:\((.*)\))?")
_CLAIM = re.compile(r"([A-Za-z_]+)\s*=\s*(.*)", re.DOTALL)
_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)\s*(?:s|%)?")
_KINDS = {
    **{kind.value.casefold(): kind for kind in MessageKind if kind is not MessageKind.ASIDE},
    # Words that say the same.
    "stop": MessageKind.SHUTDOWN,
    "cancel task": MessageKind.CANCEL,
}


@dataclass(frozen=True, slots=True)
class Label:
    """What is claimed of a message.

    Args:
        kind: what kind of message; an aside if it is none of ours.
        names: what it says of the tasks that the message is about: ids, or a type.
        claims: what else it says, by name.
        text: the whole of it.
    """

    kind: MessageKind
    names: tuple[str, ...]
    claims: tuple[tuple[str, str], ...]
    text: str

    def holds_for(self, said: Said) -> bool:
        """Whether a message is what is claimed."""
        if said.kind is MessageKind.ASIDE:
            return self.text == said.text
        if self.kind is not said.kind:
            return False
        if (
            self.kind is MessageKind.ADDED_TASKS
            and self.names
            and set(self.names) != set(said.names)
        ):
            return False
        if any(name not in said.names for name in self.names):
            return False
        return all(_agree(value, said.facts.get(key)) for key, value in self.claims)


def read_label(text: str) -> Label:
    """Read the text at an arrow.

    What is no kind of message that Muster knows is taken for the text of an aside.
    """
    text = " ".join(text.split())
    found = _LABEL.fullmatch(text)
    kind = _KINDS.get(found[1].casefold()) if found else None
    if found is None or kind is None:
        return Label(MessageKind.ASIDE, (), (), text)
    names: list[str] = []
    claims: list[tuple[str, str]] = []
    for part in (found[2] or "").split(","):
        claim = _CLAIM.fullmatch(part.strip())
        if claim:
            claims.append((claim[1].casefold(), claim[2].strip()))
        elif part.strip():
            names.append(part.strip())
    return Label(kind, tuple(names), tuple(claims), text)


def _agree(claimed: str, known: str | None) -> bool:
    if known is None:
        return False
    return _plain(claimed) == _plain(known)


def _plain(value: str) -> str:
    """A value without its unit, and however it is spelled."""
    number = _NUMBER.fullmatch(value.strip())
    return f"{float(number[1]):g}" if number else " ".join(value.casefold().split())
