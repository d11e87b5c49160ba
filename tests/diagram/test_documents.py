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
<!-- check: lost -->
Some text.
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
