"""Parses the labels of messages in a diagram, such as "TaskAssignment(T1, difficulty=4)"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .run_messages import MessageKind, RunMessage

_LABEL = re.compile(r"([A-Za-z][A-Za-z ]*?)\s*(?:\((.*)\))?")
_CLAIM = re.compile(r"([A-Za-z_]+)\s*=\s*(.*)", re.DOTALL)
_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)\s*(?:s|%)?")
_KINDS = {
    **{kind.value.casefold(): kind for kind in MessageKind if kind is not MessageKind.SIDE_MESSAGE},
    # Synonyms.
    "stop": MessageKind.SHUTDOWN,
    "cancel task": MessageKind.CANCEL,
}


@dataclass(frozen=True, slots=True)
class Label:
    """What a label claims about its message.

    Args:
        kind: the kind of message; a side message if it is none of Muster's.
        names: the names of the tasks of the message: ids, or a type.
        claims: further claims, by name.
        text: the whole label.
    """

    kind: MessageKind
    names: tuple[str, ...]
    claims: tuple[tuple[str, str], ...]
    text: str

    def holds_for(self, sent: RunMessage) -> bool:
        """Whether a message matches the label."""
        if sent.kind is MessageKind.SIDE_MESSAGE:
            return self.text == sent.text
        if self.kind is not sent.kind:
            return False
        if (
            self.kind is MessageKind.ADDED_TASKS
            and self.names
            and set(self.names) != set(sent.names)
        ):
            return False
        if any(name not in sent.names for name in self.names):
            return False
        return all(_agree(value, sent.facts.get(key)) for key, value in self.claims)


def read_label(text: str) -> Label:
    """Parse the label of a message.

    A label that names no kind of message of Muster's is the text of a side message.
    """
    text = " ".join(text.split())
    found = _LABEL.fullmatch(text)
    kind = _KINDS.get(found[1].casefold()) if found else None
    if found is None or kind is None:
        return Label(MessageKind.SIDE_MESSAGE, (), (), text)
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
    """A value without its unit, in a normal form."""
    number = _NUMBER.fullmatch(value.strip())
    return f"{float(number[1]):g}" if number else " ".join(value.casefold().split())
