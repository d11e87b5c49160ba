"""Sequence diagrams are parsed as in Mermaid; errors name unknown constructs with their line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.diagram import read_sequence, write_sequence
from muster.agents.diagram.escaping import escape, tidy, unescape
from muster.agents.diagram.sequence_model import (
    Activation,
    Arrow,
    Block,
    BlockKind,
    Branch,
    Note,
    Participant,
    SequenceDiagram,
    SequenceMessage,
)
from muster.messages import InvalidDiagram

EVERYTHING = """\
---
title: front matter is not ours
---
%%{init: {"theme": "dark"}}%%
%% a comment
sequenceDiagram
    title: Everything
    autonumber 10 5
    box Aqua The office
        participant TM as Task <br/> manager
        actor Ann
    end
    Ann->>+TM: a%% is no comment here
    TM-->>-Ann: b #59; #quot;c#quot;
    TM->Ann: line; TM-->Ann: dotted line
    TM-xAnn: cross %
    TM--xAnn: dotted cross # and this is a comment
    TM-)Ann:open
    TM--)Ann: dotted open
    activate TM
    deactivate TM
    NOTE right of Ann: to the right
    Note left of TM: to the left
    note over TM,Ann: over<br>both
    rect rgb(1, 2, 3)
        loop every day
            alt good
                TM->>Ann: yes
            else bad
                TM->>Ann: no
            end
            opt perhaps
                Ann->>New one: hello
            end
        end
    end
    par one
        TM->>Ann: 1
    and two
        TM->>Ann: 2
    end
    critical do it
        TM->>Ann: do
    option it fails
        Ann->>TM: sorry
    end
    break all is lost
        Ann->>TM: bye
    end
"""


def test_every_construct_is_read_with_its_line() -> None:
    diagram = read_sequence(EVERYTHING)
    assert (diagram.line, diagram.last_line) == (6, 49)
    assert (diagram.title, diagram.is_numbered) == ("Everything", True)
    assert diagram.participants == (
        Participant("TM", "Task\nmanager"),
        Participant("Ann", "Ann", is_actor=True),
        Participant("New one", "New one"),
    )
    assert [participant.line for participant in diagram.participants] == [10, 11, 33]
    assert diagram.steps[:12] == (
        SequenceMessage("Ann", "TM", "a%% is no comment here", activation="+"),
        SequenceMessage("TM", "Ann", 'b ; "c"', Arrow.DOTTED, "-"),
        SequenceMessage("TM", "Ann", "line", Arrow.LINE),
        SequenceMessage("TM", "Ann", "dotted line", Arrow.DOTTED_LINE),
        SequenceMessage("TM", "Ann", "cross %", Arrow.CROSS),
        SequenceMessage("TM", "Ann", "dotted cross", Arrow.DOTTED_CROSS),
        SequenceMessage("TM", "Ann", "open", Arrow.OPEN),
        SequenceMessage("TM", "Ann", "dotted open", Arrow.DOTTED_OPEN),
        Activation("TM", begins=True),
        Activation("TM", begins=False),
        Note("right of", ("Ann",), "to the right"),
        Note("left of", ("TM",), "to the left"),
    )
    assert diagram.steps[12] == Note("over", ("TM", "Ann"), "over\nboth")
    rect, par, critical, broken = diagram.steps[13:]
    assert isinstance(rect, Block)
    assert (rect.kind, rect.branches[0].label, rect.line) == (BlockKind.RECT, "rgb(1, 2, 3)", 25)
    (loop,) = rect.branches[0].steps
    assert isinstance(loop, Block)
    alt, opt = loop.branches[0].steps
    assert isinstance(alt, Block)
    assert [(branch.label, branch.line) for branch in alt.branches] == [("good", 27), ("bad", 29)]
    assert isinstance(opt, Block)
    assert opt.branches[0].steps == (SequenceMessage("Ann", "New one", "hello"),)
    assert isinstance(par, Block)
    assert [branch.label for branch in par.branches] == ["one", "two"]
    assert isinstance(critical, Block)
    assert [branch.label for branch in critical.branches] == ["do it", "it fails"]
    assert isinstance(broken, Block)
    assert broken.kind is BlockKind.BREAK


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("create participant B", "line 2: 'create' in 'create participant B' is not supported"),
        ("destroy A", "line 2: 'destroy' in 'destroy A' is not supported"),
        ("link A: Board @ https://a", "line 2: 'link' in 'link A: Board @ https://a' is not supp"),
        ("A<<->>B: both", "line 2: a two-headed arrow in 'A<<->>B: both'; draw two messages"),
        ("A->>B", "line 2: the message 'A->>B' has no ':' and text"),
        ("A->>: text", "line 2: '' is not the name of a participant"),
        ("->>B: text", "line 2: '' is not the name of a participant"),
        ('participant A@{ "type" : "queue" }', "is not the name of a participant"),
        ("Note beside A: text", "line 2: 'Note beside A: text' is not a note; write"),
        ("Note over A", "line 2: 'Note over A' is not a note; write"),
        ("Note over A,B,C: text", "line 2: a note can't be over 3 participants"),
        ("Note left of A,B: text", "line 2: a note can't be left of 2 participants"),
        ("end", "line 2: 'end' without a block that it ends"),
        ("else no", "line 2: 'else' without a 'alt' around it"),
        ("and more", "line 2: 'and' without a 'par' around it"),
        ("loop for ever", "line 2: this 'loop' has no 'end'"),
        ("box Aqua", "line 2: this 'box' has no 'end'"),
        ("box Aqua\nA->>B: text\nend", "line 3: a 'box' can only have participants"),
        ("loop a\nbox b\nend\nend", "line 3: a 'box' can't be inside a block"),
        ("autonumber by five", "line 2: 'autonumber by five': autonumber takes numbers or 'off'"),
        ("loop\n" * 31, "line 32: blocks are nested more than 30 levels deep"),
        ("A->>B: " + "x" * 10_000, "line 2: the line has 10,007 characters; the limit is 10,000"),
    ],
)
def test_what_is_not_known_is_named_with_its_line(line: str, problem: str) -> None:
    with pytest.raises(InvalidDiagram) as caught:
        read_sequence(f"sequenceDiagram\n{line}")
    assert problem in str(caught.value)


@pytest.mark.parametrize("source", ["", "flowchart LR\n", "%% sequenceDiagram", "A->>B: text"])
def test_what_is_no_sequence_diagram_is_refused(source: str) -> None:
    with pytest.raises(InvalidDiagram, match="sequenceDiagram"):
        read_sequence(source)


# ------------------------------------------------------------------------ properties

PIECES = st.sampled_from(
    [*"abA1 ;:#<>&\"'`%{}()[]$\\|,=+-~\n\t", "->>", "end", "Note over", "par", "#59;", "<br/>"]
)
TEXTS = st.one_of(st.text(), st.lists(PIECES).map("".join)).map(tidy)
IDS = st.from_regex(r"[A-Z][A-Za-z0-9_]{0,8}", fullmatch=True)


@st.composite
def diagrams(draw: st.DrawFn) -> SequenceDiagram:
    ids = draw(st.lists(IDS, min_size=1, max_size=4, unique=True))
    an_id = st.sampled_from(ids)
    steps = st.one_of(
        st.builds(
            SequenceMessage,
            an_id,
            an_id,
            TEXTS,
            st.sampled_from(Arrow),
            st.sampled_from(["", "+", "-"]),
        ),
        st.builds(Note, st.just("over"), st.lists(an_id, min_size=1, max_size=2).map(tuple), TEXTS),
        st.builds(Note, st.sampled_from(["left of", "right of"]), an_id.map(lambda x: (x,)), TEXTS),
        st.builds(Activation, an_id, st.booleans()),
    )
    for _ in range(draw(st.integers(0, 2))):
        several = st.lists(st.builds(Branch, TEXTS, st.lists(steps, max_size=3).map(tuple)))
        blocks = st.one_of(
            st.builds(
                Block,
                st.sampled_from([BlockKind.ALT, BlockKind.PAR, BlockKind.CRITICAL]),
                several.filter(bool).map(tuple),
            ),
            st.builds(
                lambda kind, branch: Block(kind, (branch,)),
                st.sampled_from(BlockKind),
                st.builds(Branch, TEXTS, st.lists(steps, max_size=3).map(tuple)),
            ),
        )
        steps = st.one_of(steps, blocks)
    participants = tuple(
        Participant(each, draw(TEXTS) or each, draw(st.booleans())) for each in ids
    )
    return SequenceDiagram(
        participants, tuple(draw(st.lists(steps, max_size=6))), draw(TEXTS), draw(st.booleans())
    )


@given(diagrams())
def test_what_is_written_is_read_as_the_same(diagram: SequenceDiagram) -> None:
    assert read_sequence(write_sequence(diagram)) == diagram


def test_a_title_may_begin_with_a_colon() -> None:
    assert read_sequence("sequenceDiagram\n    title: :x").title == ":x"
    assert read_sequence("sequenceDiagram\n    title :x").title == "x"


@given(st.one_of(st.text(), st.lists(PIECES).map("".join)))
def test_escaped_text_stands_on_one_line_and_is_read_as_the_same(text: str) -> None:
    escaped = escape(text)
    assert "\n" not in escaped
    assert ";" not in escaped.replace(";", "", escaped.count("#"))
    assert unescape(escaped) == tidy(text)


@given(
    st.one_of(
        st.text(),
        st.lists(
            st.one_of(
                PIECES,
                st.sampled_from(
                    ["\nsequenceDiagram\n", "\nA->>B:", "\nloop ", "\nend\n", "\nNote over ", "%%{"]
                ),
            )
        ).map(lambda pieces: "sequenceDiagram\n" + "".join(pieces)),
    )
)
def test_garbage_is_read_or_refused_with_its_line(text: str) -> None:
    last_line = len(text.splitlines()) + 1
    try:
        line = read_sequence(text).line
    except InvalidDiagram as fault:
        line = fault.line
    assert 1 <= line <= last_line
