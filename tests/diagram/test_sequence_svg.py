"""Sequence diagrams drawn as SVG: everything of the diagram is in it, and nothing overlaps."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from muster.agents.diagram.sequence_layout import Columns, lines_of
from muster.agents.diagram.sequence_model import Arrow, BlockKind
from muster.agents.diagram.sequence_svg import draw_sequence
from muster.agents.diagram.sequence_syntax import read_sequence

EVERYTHING = """\
sequenceDiagram
    title: A day on the estate
    autonumber
    actor P as Planter
    participant TM as TaskManager
    participant A as Ada<br/>skill 5
    P->>+TM: two tasks
    par Task assignment
        TM->>A: TaskAssignment(T1)
    and
        TM-)A: TaskAssignment(T2)
    end
    activate A
    Note over A: T1: 2 s, succeeded
    Note left of P: waits
    Note right of A: works
    Note over P,A: all of them
    A->>A: think it over
    deactivate A
    alt it went well
        A-->>TM: TaskResult(T1)
    else it did not
        rect rgb(0, 0, 0)
            A--xTM: lost
        end
    end
    loop Every minute
        TM--)P: progress
    end
    TM-->>-P: Final report
"""


def parse(svg: str) -> ET.Element:
    return ET.fromstring(svg)


def texts_of(svg: str) -> list[str]:
    return [each.text or "" for each in parse(svg).iter("text")]


def test_every_text_of_a_diagram_is_drawn() -> None:
    told = texts_of(draw_sequence(read_sequence(EVERYTHING)))
    for text in (
        *("A day on the estate", "Planter", "TaskManager", "Ada", "skill 5"),
        *("1. two tasks", "2. TaskAssignment(T1)", "3. TaskAssignment(T2)", "4. think it over"),
        *("5. TaskResult(T1)", "6. lost", "7. progress", "8. Final report"),
        *("T1: 2 s, succeeded", "waits", "works", "all of them"),
        *("par Task assignment", "and", "alt it went well", "else it did not"),
        "loop Every minute",
    ):
        assert text in told
    # Participants stand at the top and at the bottom.
    assert told.count("Planter") == 2


@pytest.mark.parametrize("arrow", list(Arrow), ids=lambda arrow: arrow.value)
def test_every_arrow_has_its_line_and_its_head(arrow: Arrow) -> None:
    svg = draw_sequence(read_sequence(f"sequenceDiagram\n    A{arrow.value}B: hello"))
    is_dotted = arrow.value.startswith("--")
    assert ("q-dotted" in svg) is is_dotted
    heads = len(re.findall(r'<path class="q-(?:head|line)"', svg))
    assert heads == (0 if arrow in (Arrow.LINE, Arrow.DOTTED_LINE) else 1)
    assert ("q-head" in svg) is (arrow in (Arrow.SOLID, Arrow.DOTTED))


@pytest.mark.parametrize("kind", list(BlockKind), ids=lambda kind: kind.value)
def test_every_block_has_a_frame_around_its_steps(kind: BlockKind) -> None:
    source = f"sequenceDiagram\n    {kind.value} rgb(1, 2, 3)\n        A->>B: hello\n    end"
    drawn = parse(draw_sequence(read_sequence(source)))
    (frame,) = (each for each in drawn.iter("rect") if each.get("class") in ("q-frame", "q-shade"))
    (line,) = (each for each in drawn.iter("line") if each.get("class") == "q-line")
    left, top = float(frame.get("x", 0)), float(frame.get("y", 0))
    assert left < float(line.get("x1", 0)) < left + float(frame.get("width", 0))
    assert left < float(line.get("x2", 0)) < left + float(frame.get("width", 0))
    assert top < float(line.get("y1", 0)) < top + float(frame.get("height", 0))


def test_everything_lies_within_the_picture() -> None:
    drawn = parse(draw_sequence(read_sequence(EVERYTHING)))
    left, top, width, height = map(float, drawn.get("viewBox", "").split())
    for each in drawn.iter("rect"):
        x, y = float(each.get("x", 0)), float(each.get("y", 0))
        assert left <= x <= x + float(each.get("width", 0)) <= left + width
        assert top <= y <= y + float(each.get("height", 0)) <= top + height


def test_boxes_of_participants_do_not_overlap() -> None:
    names = [f"worker-{number}-with-quite-a-long-name" for number in range(12)]
    calls = "".join(f"    A->>w{number}: hello\n" for number in range(12))
    parts = "".join(f"    participant w{n} as {name}\n" for n, name in enumerate(names))
    diagram = read_sequence(f"sequenceDiagram\n{parts}{calls}")
    columns = Columns(diagram)
    boxes = [columns.box_of(each.id) for each in diagram.participants]
    assert all(one.right < other.left for one, other in pairwise(boxes))


def test_texts_are_nothing_but_text() -> None:
    evil = "<script>alert('&')</script>\u202e\x1b[31m"
    svg = draw_sequence(
        read_sequence(f"sequenceDiagram\n    A->>B: {evil}\n    Note over A: {evil}")
    )
    assert "<script" not in svg
    assert "\x1b" not in svg
    assert "\u202e" not in svg
    assert "<script>alert('&')</script>" in " ".join(texts_of(svg))


def test_a_very_long_text_is_cut() -> None:
    lines = lines_of("word " * 10_000)
    assert len(lines) < 10
    assert lines[-1].endswith("…")
    assert lines_of("x" * 100) == ["x" * 34, "x" * 34, "x" * 32]


def test_the_same_diagram_is_drawn_the_same() -> None:
    diagram = read_sequence(EVERYTHING)
    assert draw_sequence(diagram) == draw_sequence(diagram)
