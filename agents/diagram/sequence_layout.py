"""Lays out a sequence diagram: how its texts are divided into lines, and where its columns stand.

The width of a text is an estimate, since nothing here knows the reader's fonts.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from textwrap import wrap
from typing import NamedTuple

from .sequence_model import Note, SequenceDiagram, SequenceMessage, walk

LINE_PX = 16
"""The distance between two lines of text."""

PADDING_PX = 10
"""The distance between a text and the frame around it."""

SELF_PX = 30
"""How far the loop of a message to oneself reaches."""

MARGIN_PX = 16
"""The space around the diagram."""

_CHARACTER_PX = 6.8
_WIDE_CHARACTER_PX = 12.5
_BOLDER = 1.1
_MAX_LINE_CHARACTERS = 34
_MAX_LINES = 8
_MIN_GAP_PX = 28
_ARROW_ROOM_PX = 30


class Extent(NamedTuple):
    """A horizontal range.

    Args:
        left: where it begins, in pixels.
        right: where it ends.
    """

    left: float
    right: float


def lines_of(text: str) -> list[str]:
    """Divide a text into short lines of printable characters; a very long text is cut."""
    lines: list[str] = []
    for line in text.split("\n"):
        shown = "".join(each if each.isprintable() else "�" for each in line)
        lines += wrap(shown, _MAX_LINE_CHARACTERS) or [""]
    if len(lines) > _MAX_LINES:
        lines[_MAX_LINES - 1 :] = [f"{lines[_MAX_LINES - 1]} …"]
    return lines


def width_of(lines: Sequence[str]) -> float:
    """About how wide the widest of some lines is, in pixels."""
    return max((sum(map(_width_of_character, line)) for line in lines), default=0.0)


class Columns:
    """Where the columns of a diagram stand: as close as the texts between them permit.

    Args:
        diagram: the diagram; it has at least one participant.
    """

    def __init__(self, diagram: SequenceDiagram) -> None:
        self._places = {each.id: place for place, each in enumerate(diagram.participants)}
        self.labels = [lines_of(each.label) for each in diagram.participants]
        self._halves = [_BOLDER * width_of(lines) / 2 + PADDING_PX for lines in self.labels]
        needs = sorted(
            (need for step in walk(diagram.steps) for need in self._needs_of(step)),
            key=lambda need: need.last - need.first,
        )
        gaps = [
            left + right + _MIN_GAP_PX
            for left, right in zip(self._halves, self._halves[1:], strict=False)
        ]
        before, after = self._halves[0], self._halves[-1]
        for first, last, need_px in needs:
            if first < 0:
                before = max(before, need_px)
            elif last >= len(self._halves):
                after = max(after, need_px)
            else:
                missing = need_px - sum(gaps[first:last])
                for place in range(first, last):
                    gaps[place] += max(missing, 0.0) / (last - first)
        self._centres = [MARGIN_PX + before]
        for gap in gaps:
            self._centres.append(self._centres[-1] + gap)
        self.width = self._centres[-1] + after + MARGIN_PX

    def box_of(self, participant: str) -> Extent:
        """The range of a participant's box."""
        half = self._halves[self._places[participant]]
        return Extent(self.centre_of(participant) - half, self.centre_of(participant) + half)

    def labels_of(self, participant: str) -> list[str]:
        """The lines of a participant's label."""
        return self.labels[self._places[participant]]

    def centre_of(self, participant: str) -> float:
        """Where the line of a participant stands."""
        return self._centres[self._places[participant]]

    def note_extent(self, note: Note) -> Extent:
        """The range of a note."""
        width = width_of(lines_of(note.text)) + 2 * PADDING_PX
        centres = sorted(map(self.centre_of, note.participants))
        match note.place:
            case "left of":
                return Extent(centres[0] - PADDING_PX - width, centres[0] - PADDING_PX)
            case "right of":
                return Extent(centres[0] + PADDING_PX, centres[0] + PADDING_PX + width)
            case _:
                middle = (centres[0] + centres[-1]) / 2
                width = max(width, centres[-1] - centres[0] + 4 * PADDING_PX)
                return Extent(middle - width / 2, middle + width / 2)

    def _needs_of(self, step: object) -> list[_Need]:
        match step:
            case SequenceMessage():
                first, last = sorted((self._places[step.sender], self._places[step.receiver]))
                width = width_of(lines_of(step.text))
                if first == last:
                    return [_Need(first, first + 1, SELF_PX + width + 2 * PADDING_PX)]
                return [_Need(first, last, width + _ARROW_ROOM_PX)]
            case Note():
                places = sorted(self._places[each] for each in step.participants)
                width = width_of(lines_of(step.text)) + 2 * PADDING_PX
                first, last = places[0], places[-1]
                if step.place == "left of":
                    return [_Need(first - 1, first, width + 2 * PADDING_PX)]
                if step.place == "right of":
                    return [_Need(first, first + 1, width + 2 * PADDING_PX)]
                if first == last:
                    side = width / 2 + PADDING_PX
                    return [_Need(first - 1, first, side), _Need(first, first + 1, side)]
                return [_Need(first, last, width - 4 * PADDING_PX)]
            case _:
                return []


class _Need(NamedTuple):
    """How far two columns must stand apart; those beside the first and last are the margins.

    Args:
        first: the left one.
        last: the right one.
        px: the distance in pixels.
    """

    first: int
    last: int
    px: float


def _width_of_character(character: str) -> float:
    is_wide = unicodedata.east_asian_width(character) in "WF"
    return _WIDE_CHARACTER_PX if is_wide else _CHARACTER_PX
