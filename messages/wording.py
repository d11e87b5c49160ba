"""How values and validation errors are put into one line for people."""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

_MAX_SHOWN = 80
_MAX_FAULTS_TOLD = 5
_MAX_FAULTS_LISTED = 1000


class _ShortRepr(reprlib.Repr):
    """Shows the start of a value without ever building the whole of it."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = _MAX_SHOWN

    def repr_bytes(self, value: bytes, _level: int) -> str:
        """Show bytes, of which reprlib knows nothing."""
        return repr(value) if len(value) <= self.maxstring else f"{value[:40]!r}..."


_short_repr = _ShortRepr()


def show(value: object) -> str:
    """A value as Python would write it, about 80 characters at most; never raises."""
    shown = _short_repr.repr(value)
    return shown if len(shown) <= _MAX_SHOWN else shown[: _MAX_SHOWN - 3] + "..."


def summarize(fault: ValidationError) -> str:
    """Put a validation error into one line that names each field, its value and the rule."""
    count = fault.error_count()
    if count > _MAX_FAULTS_LISTED:
        # Each listed fault takes most of a kilobyte, and a peer can send millions.
        return f"{fault.title}: {count:,} values break their rules, too many to list"
    parts: list[str] = []
    for problem in fault.errors(include_url=False, include_context=False)[:_MAX_FAULTS_TOLD]:
        place = ".".join(map(_name, problem["loc"][:8])) or fault.title
        rule = " ".join(problem["msg"][:200].split())
        parts.append(f"{place}: {show(problem['input'])}: {rule}")
    told = "; ".join(parts)
    return told if count <= _MAX_FAULTS_TOLD else f"{told}; and {count - _MAX_FAULTS_TOLD} more"


def _name(step: int | str) -> str:
    # Names of fields may come from a peer, and must not write lines of their own into a log.
    return (
        str(step)[:_MAX_SHOWN] if str(step).isidentifier() or isinstance(step, int) else show(step)
    )
