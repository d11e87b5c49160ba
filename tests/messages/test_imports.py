"""The files of `messages/` know one another without a circle."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

from muster import messages

FOLDER = Path(messages.__file__).parent


def _known_to(file: Path) -> set[str]:
    """The files that one imports, be it late or for type checkers alone."""
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {
        node.module or ""
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module
    }


def test_no_file_knows_one_that_knows_it() -> None:
    known = {file.stem: _known_to(file) for file in FOLDER.glob("*.py")}
    assert len(known) > 10
    order = list(TopologicalSorter(known).static_order())
    assert order.index("work") < order.index("codec")
