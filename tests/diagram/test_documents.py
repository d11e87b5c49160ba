"""Diagrams in documents are found, with the run that each of them shows."""

from __future__ import annotations

import pytest
from muster.agents.diagram import find_diagrams
from muster.messages import InvalidDiagram

DIAGRAM = "```mermaid\nsequenceDiagram\n    A->>B: hello\n```\n"


def test_each_diagram_has_its_line_and_its_mark() -> None:
    document = f"""# Title

<!-- check: late_worker fail -->

{DIAGRAM}
```text
<!-- check: not_a_mark -->
```
{DIAGRAM}
<!-- not checked: it is a dream -->
{DIAGRAM}
Of `<!-- check: SCENARIO -->` in a text:
<!-- any other comment -->
{DIAGRAM}
```mermaid
flowchart LR
    A --> B
```
````mermaid
%% a comment
sequenceDiagram
    A->>B: hello
````
~~~mermaid
sequenceDiagram
~~~
"""
    found = find_diagrams(document, "page.md")
    assert [(each.diagram.line, each.run, each.exempt) for each in found] == [
        (6, ("late_worker", "fail"), ""),
        (14, (), ""),
        (20, (), "it is a dream"),
        (27, (), ""),
        (37, (), ""),
        (41, (), ""),
    ]


def test_an_mmd_file_is_one_diagram() -> None:
    (found,) = find_diagrams("%% mine\nsequenceDiagram\nA->>B: hello", "run.MMD")
    assert (found.diagram.line, found.run) == (2, ())


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("\n```mermaid\nsequenceDiagram\n", r"page\.md:2: the block that begins here .* no end"),
        (
            "\n```mermaid\nsequenceDiagram\nhello\n```",
            r"page\.md:4: 'hello' in 'hello' is not supported",
        ),
        (
            f"<!-- check:  -->\n{DIAGRAM}",
            r"page\.md:2: the mark 'check' before this diagram has no",
        ),
    ],
)
def test_a_fault_is_told_with_file_and_line(document: str, problem: str) -> None:
    with pytest.raises(InvalidDiagram, match=problem):
        find_diagrams(document, "page.md")


FLOWCHART = "```mermaid\nflowchart LR\n    A --> B\n```\n"


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        ("", "nothing follows it"),
        ("\n\n", "nothing follows it"),
        (f"Some text.\n{DIAGRAM}", "line 3 is no block"),
        (f"<!-- a comment -->\n{DIAGRAM}", "line 3 is no block"),
        (f"<!-- check: all_well -->\n{DIAGRAM}", "another mark follows on line 3"),
        (FLOWCHART, "the block on line 3 is no sequence diagram"),
        ("```mermaid\n```\n", "the block on line 3 is no sequence diagram"),
        ("```text\nsequenceDiagram\n```\n", "the block on line 3 is no mermaid block"),
        ("```\nsequenceDiagram\n```\n", "the block on line 3 is no mermaid block"),
        ("```{.mermaid}\nsequenceDiagram\n```\n", "the block on line 3 is no mermaid block"),
        (":::mermaid\nsequenceDiagram\n:::\n", "line 3 is no block"),
        ("    sequenceDiagram\n", "line 3 is no block"),
    ],
)
@pytest.mark.parametrize("others", ["", DIAGRAM])
def test_a_mark_without_a_diagram_that_can_be_read_is_an_error(
    after: str, reason: str, others: str
) -> None:
    mark = "\n<!-- check: all_well -->\n"
    document = f"{mark}{after}\n{others}" if after.strip() else f"{others}{mark}{after}"
    line = document.index("<!--", 1)
    with pytest.raises(InvalidDiagram) as caught:
        find_diagrams(document, "page.md")
    told = str(caught.value)
    assert told.startswith(f"page.md:{document[:line].count(chr(10)) + 1}: ")
    assert f"the mark 'check' is not before a diagram that can be checked: {reason}" in told


def test_a_mark_that_exempts_may_stand_before_any_mermaid_block() -> None:
    assert find_diagrams(f"<!-- not checked: a sketch -->\n{FLOWCHART}", "page.md") == []
    with pytest.raises(InvalidDiagram, match=r"page\.md:1: the mark 'not checked' is not before"):
        find_diagrams("<!-- not checked: a sketch -->\n```text\na\n```\n", "page.md")


def test_a_mark_of_several_lines_is_an_error() -> None:
    with pytest.raises(InvalidDiagram, match=r"page\.md:2: this mark has no '-->' on its line"):
        find_diagrams(f"\n<!-- check: all_well\n-->\n{DIAGRAM}", "page.md")


@pytest.mark.parametrize("opening", ["```Mermaid", "``` mermaid", "~~~~ mermaid title=run"])
def test_a_block_is_read_however_its_opening_is_written(opening: str) -> None:
    closing = opening.rstrip(" =abcdefghijklmnopqrstuvwxyzM")
    document = f"<!-- check: all_well -->\n{opening}\nsequenceDiagram\n{closing}\n"
    (found,) = find_diagrams(document, "page.md")
    assert found.run == ("all_well",)
