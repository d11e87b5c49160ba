"""The timeline as inline SVG; its widths are percentages, so that it fits any screen."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from ...kernel.model.records import AttemptOutcome
from ..formatting import clip, format_duration
from ..timeline import Bar, Timeline, TimelineRow

OUTCOMES: dict[AttemptOutcome | None, str] = {
    **{each: each.value for each in AttemptOutcome if each is not AttemptOutcome.NOT_BEGUN},
    None: "running",
}
"""The name of each outcome on the page."""

_TOP_PX = 26
_NAME_PX = 18
_LANE_PX = 12
_BAR_PX = 10
_QUIET_BAR_PX = 6
"""The height of bars of successful attempts, so that others differ not only by colour."""

_ROW_GAP_PX = 12
_BOTTOM_PX = 4
_LAST_TICK = 0.94
"""The share of the width after which an axis label would not fit."""


def outcome_class(outcome: AttemptOutcome | None) -> str:
    """The CSS class of an outcome, such as "o-timed-out"."""
    return f"o-{OUTCOMES[outcome].replace(' ', '-')}"


def draw_timeline(timeline: Timeline) -> Markup:
    """Draw a timeline, one row per worker."""
    height = _TOP_PX + _BOTTOM_PX + sum(map(_height_of, timeline.rows))
    parts = [
        Markup(
            '<svg class="timeline" width="100%" height="{}" role="img"'
            ' aria-label="Timeline: one row per worker, one bar per attempt">'
        ).format(height),
        *_draw_axis(timeline, height),
    ]
    top = _TOP_PX
    for row in timeline.rows:
        parts += _draw_row(row, top, timeline.length_s)
        top += _height_of(row)
    return Markup("\n").join([*parts, Markup("</svg>")])


def _height_of(row: TimelineRow) -> int:
    return _NAME_PX + row.lanes * _LANE_PX + _ROW_GAP_PX


def _draw_axis(timeline: Timeline, height: int) -> Iterator[Markup]:
    for tick_s in timeline.ticks_s:
        share = tick_s / timeline.length_s
        at = _percent(share)
        yield Markup('<line class="tick" x1="{0}" x2="{0}" y1="18" y2="{1}"/>').format(at, height)
        if share <= _LAST_TICK:
            anchor = "start" if tick_s == 0 else "middle"
            yield Markup('<text class="axis" x="{}" y="12" text-anchor="{}">{}</text>').format(
                at, anchor, format_duration(tick_s) if tick_s else "0"
            )


def _draw_row(row: TimelineRow, top: int, length_s: float) -> Iterator[Markup]:
    name = clip(row.worker, 60)
    yield Markup('<text class="who" x="0" y="{}">{}').format(top + 12, name)
    if row.left_s is not None:
        yield Markup('<tspan class="gone" dx="8">lost at {}</tspan>').format(
            format_duration(row.left_s)
        )
    yield Markup("</text>")
    lanes_top = top + _NAME_PX
    here_until_s = length_s if row.left_s is None else row.left_s
    yield Markup('<rect class="here" x="{}" y="{}" width="{}" height="{}"/>').format(
        _percent(row.joined_s / length_s),
        lanes_top,
        _percent((here_until_s - row.joined_s) / length_s),
        row.lanes * _LANE_PX,
    )
    for bar in row.bars:
        yield _draw_bar(bar, name, lanes_top, length_s)
    if row.left_s is not None:
        yield Markup('<line class="gone" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(
            _percent(row.left_s / length_s), lanes_top - 3, lanes_top + row.lanes * _LANE_PX + 3
        )


def _draw_bar(bar: Bar, worker: str, lanes_top: int, length_s: float) -> Markup:
    height = _QUIET_BAR_PX if bar.outcome is AttemptOutcome.SUCCEEDED else _BAR_PX
    label = clip(bar.label, 120) if bar.attempts == 1 else f"{bar.attempts:,} attempts"
    return Markup(
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{} at {}: {}, {} to {}'
        "</title></rect>"
    ).format(
        outcome_class(bar.outcome),
        _percent(bar.began_s / length_s),
        lanes_top + bar.lane * _LANE_PX + (_LANE_PX - height) // 2,
        _percent((bar.ended_s - bar.began_s) / length_s),
        height,
        label,
        worker,
        OUTCOMES[bar.outcome],
        format_duration(bar.began_s),
        format_duration(bar.ended_s),
    )


def _percent(share: float) -> str:
    return f"{100 * share:.3f}".rstrip("0").rstrip(".") + "%"
