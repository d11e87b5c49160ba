"""Draws a sequence diagram as SVG, which needs neither a script nor a network to be seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from html import escape

from .sequence_layout import (
    LINE_PX,
    MARGIN_PX,
    PADDING_PX,
    SELF_PX,
    Columns,
    Extent,
    lines_of,
    width_of,
)
from .sequence_model import (
    BRANCH_WORDS,
    Activation,
    Arrow,
    Block,
    BlockKind,
    DiagramStep,
    Note,
    SequenceDiagram,
    SequenceMessage,
)

_GAP_PX = 10
_HEAD_PX = 7
_BAR_PX = 8
_TAB_PX = 22
_DOTTED = {Arrow.DOTTED_LINE, Arrow.DOTTED, Arrow.DOTTED_CROSS, Arrow.DOTTED_OPEN}
_HEADLESS = {Arrow.LINE, Arrow.DOTTED_LINE}
_CROSSED = {Arrow.CROSS, Arrow.DOTTED_CROSS}
_OPEN = {Arrow.OPEN, Arrow.DOTTED_OPEN}


def draw_sequence(diagram: SequenceDiagram) -> str:
    """Draw a diagram as an SVG element.

    It has no colours of its own: the page's style gives them to its classes, which begin with "q-".
    All texts are escaped.

    Args:
        diagram: the diagram; it has at least one participant.
    """
    return _Drawing(diagram).draw()


class _Drawing:
    def __init__(self, diagram: SequenceDiagram) -> None:
        self._diagram = diagram
        self._columns = Columns(diagram)
        self._parts: list[str] = []
        self._bars: list[str] = []
        self._active: defaultdict[str, list[float]] = defaultdict(list)
        self._messages = 0
        self._y = float(MARGIN_PX)

    def draw(self) -> str:
        diagram, columns = self._diagram, self._columns
        extents = [Extent(0.0, columns.width)]
        if diagram.title:
            title = lines_of(diagram.title)
            extents.append(Extent(0.0, width_of(title) + 2 * MARGIN_PX))
            self._text("q-title", MARGIN_PX, title, anchor="start")
            self._y += _GAP_PX
        boxes_px = LINE_PX * max(map(len, columns.labels)) + 2 * PADDING_PX
        self._boxes(boxes_px)
        lines_from = self._y
        self._y += _GAP_PX
        extents.append(self._steps(diagram.steps))
        self._y += _GAP_PX
        for participant in list(self._active):
            while self._active[participant]:
                self._end_activation(participant)
        lines = [
            f'<line class="q-life" x1="{x}" x2="{x}" y1="{_n(lines_from)}" y2="{_n(self._y)}"/>'
            for x in (_n(columns.centre_of(each.id)) for each in diagram.participants)
        ]
        self._boxes(boxes_px)
        left = min(extent.left for extent in extents)
        width = max(extent.right for extent in extents) - left
        height = self._y + MARGIN_PX
        names = ", ".join(" ".join(each.label.split()) for each in diagram.participants[:10])
        label = f"Sequence diagram: {self._messages:,} messages between {names}"
        opening = (
            f'<svg class="sequence" role="img" aria-label="{_escape(label)}"'
            f' width="{_n(width)}" height="{_n(height)}"'
            f' viewBox="{_n(left)} 0 {_n(width)} {_n(height)}">'
        )
        return "\n".join([opening, *lines, *self._bars, *self._parts, "</svg>"])

    def _boxes(self, height: float) -> None:
        for participant in self._diagram.participants:
            left, right = self._columns.box_of(participant.id)
            corner = 18 if participant.is_actor else 5
            self._rect("q-box", Extent(left, right), self._y, height, corner)
            lines = self._columns.labels_of(participant.id)
            top = self._y
            self._y += (height - LINE_PX * len(lines)) / 2
            self._text("q-name", (left + right) / 2, lines)
            self._y = top
        self._y += height

    def _steps(self, steps: Sequence[DiagramStep]) -> Extent:
        """Draw steps from the current height on, and return how wide they are."""
        extents: list[Extent] = []
        for step in steps:
            match step:
                case SequenceMessage():
                    extents.append(self._message(step))
                case Note():
                    extents.append(self._note(step))
                case Activation():
                    if step.begins:
                        self._active[step.participant].append(self._y)
                    else:
                        self._end_activation(step.participant)
                case Block():
                    extents.append(self._block(step))
        middle = self._columns.width / 2
        return Extent(
            min((each.left for each in extents), default=middle),
            max((each.right for each in extents), default=middle),
        )

    def _message(self, message: SequenceMessage) -> Extent:
        self._messages += 1
        number = f"{self._messages}. " if self._diagram.is_numbered else ""
        lines = lines_of(number + message.text)
        begin = self._columns.centre_of(message.sender)
        end = self._columns.centre_of(message.receiver)
        kind = "q-line q-dotted" if message.arrow in _DOTTED else "q-line"
        self._y += _GAP_PX
        if message.sender == message.receiver:
            extent = self._message_to_oneself(message, lines, begin, kind)
        else:
            self._text("q-label", (begin + end) / 2, lines)
            self._y += 5
            y = _n(self._y)
            self._parts.append(
                f'<line class="{kind}" x1="{_n(begin)}" x2="{_n(end)}" y1="{y}" y2="{y}"/>'
            )
            self._head(message.arrow, end, 1 if end > begin else -1)
            half = width_of(lines) / 2
            middle = (begin + end) / 2
            extent = Extent(min(begin, end, middle - half), max(begin, end, middle + half))
        if message.activation == "+":
            self._active[message.receiver].append(self._y)
        elif message.activation == "-":
            self._end_activation(message.sender)
        self._y += 5
        return extent

    def _message_to_oneself(
        self, message: SequenceMessage, lines: Sequence[str], x: float, kind: str
    ) -> Extent:
        top, out = self._y, x + SELF_PX
        self._text("q-label", out + PADDING_PX, lines, anchor="start")
        self._y = max(self._y, top + LINE_PX)
        self._parts.append(
            f'<path class="{kind}" d="M{_n(x)} {_n(top + 3)}H{_n(out)}V{_n(self._y)}H{_n(x)}"/>'
        )
        self._head(message.arrow, x, -1)
        return Extent(x, out + PADDING_PX + width_of(lines))

    def _head(self, arrow: Arrow, x: float, direction: int) -> None:
        """The head of an arrow that points to a place at the current height."""
        back, y = _n(x - direction * _HEAD_PX), self._y
        up, down = _n(y - _HEAD_PX / 2), _n(y + _HEAD_PX / 2)
        if arrow in _CROSSED:
            tip = _n(x)
            self._parts.append(
                f'<path class="q-line" d="M{back} {up}L{tip} {down}M{back} {down}L{tip} {up}"/>'
            )
        elif arrow in _OPEN:
            self._parts.append(
                f'<path class="q-line" d="M{back} {up}L{_n(x)} {_n(y)}L{back} {down}"/>'
            )
        elif arrow not in _HEADLESS:
            self._parts.append(
                f'<path class="q-head" d="M{back} {up}L{_n(x)} {_n(y)}L{back} {down}Z"/>'
            )

    def _note(self, note: Note) -> Extent:
        extent, lines = self._columns.note_extent(note), lines_of(note.text)
        self._y += _GAP_PX
        height = LINE_PX * len(lines) + PADDING_PX
        self._rect("q-note", extent, self._y, height, 2)
        self._y += PADDING_PX / 2
        self._text("q-text", (extent.left + extent.right) / 2, lines)
        self._y += PADDING_PX / 2
        return extent

    def _block(self, block: Block) -> Extent:
        self._y += _GAP_PX
        top, place = self._y, len(self._parts)
        word, extents, rules = block.kind.value, list[Extent](), list[tuple[float, str]]()
        for branch in block.branches:
            label = branch.label if block.kind is not BlockKind.RECT else ""
            if block.kind is not BlockKind.RECT:
                rules.append((self._y, f"{word} {label}".rstrip()))
                self._y += _TAB_PX
            extents.append(self._steps(branch.steps))
            self._y += _GAP_PX
            word = BRANCH_WORDS.get(block.kind, word)
        left = min(each.left for each in extents) - PADDING_PX
        shown = [" ".join(lines_of(text)[:1]) for _, text in rules]
        right = max(
            max(each.right for each in extents) + PADDING_PX,
            left + width_of(shown) + 2 * PADDING_PX,
        )
        frame = self._parts[place:]
        del self._parts[place:]
        kind = "q-shade" if block.kind is BlockKind.RECT else "q-frame"
        self._rect(kind, Extent(left, right), top, self._y - top, 4)
        for (y, _), label in zip(rules, shown, strict=True):
            if y > top:
                self._parts.append(
                    f'<line class="q-rule" x1="{_n(left)}" x2="{_n(right)}"'
                    f' y1="{_n(y)}" y2="{_n(y)}"/>'
                )
            self._parts.append(
                f'<text class="q-kind" x="{_n(left + 8)}" y="{_n(y + 16)}">{_escape(label)}</text>'
            )
        self._parts += frame
        return Extent(left, right)

    def _end_activation(self, participant: str) -> None:
        if not self._active[participant]:
            return
        began = self._active[participant].pop()
        x = self._columns.centre_of(participant) + 3 * len(self._active[participant])
        extent = Extent(x - _BAR_PX / 2, x + _BAR_PX / 2)
        self._bars.append(_rect("q-bar", extent, began, max(self._y - began, 2.0), 1))

    def _rect(self, kind: str, extent: Extent, y: float, height: float, corner: int) -> None:
        self._parts.append(_rect(kind, extent, y, height, corner))

    def _text(self, kind: str, x: float, lines: Sequence[str], *, anchor: str = "middle") -> None:
        """Draw lines of text from the current height on, and move below them."""
        for line in lines:
            self._y += LINE_PX
            if line:
                self._parts.append(
                    f'<text class="{kind}" x="{_n(x)}" y="{_n(self._y - 4)}"'
                    f' text-anchor="{anchor}">{_escape(line)}</text>'
                )


def _rect(kind: str, extent: Extent, y: float, height: float, corner: int) -> str:
    return (
        f'<rect class="{kind}" x="{_n(extent.left)}" y="{_n(y)}"'
        f' width="{_n(extent.right - extent.left)}" height="{_n(height)}" rx="{corner}"/>'
    )


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _escape(text: str) -> str:
    # Half of a surrogate pair is not a character.
    return escape(text).encode(errors="replace").decode()
