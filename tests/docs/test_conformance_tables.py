"""The pages on conformance leave nothing open, and name only tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PARTS = ("000", "000-web", "001", "002", "003", "004")
COLUMNS = 4
CHECKOUT = Path(__file__).parents[2]


def rows_of(page: Path) -> list[list[str]]:
    lines = page.read_text(encoding="utf-8").splitlines()
    # A bar inside code does not end a cell if it is escaped.
    cells = [re.split(r"(?<!\\)\|", line.strip())[1:-1] for line in lines if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in cells]


@pytest.mark.parametrize("part", PARTS)
def test_no_cell_is_empty(part: str) -> None:
    rows = rows_of(CHECKOUT / "docs" / "conformance" / f"{part}.md")
    assert len(rows) > 20
    assert [row for row in rows if len(row) != COLUMNS or not all(row)] == []


@pytest.mark.parametrize("part", PARTS)
def test_every_test_that_is_named_is_there(part: str) -> None:
    page = (CHECKOUT / "docs" / "conformance" / f"{part}.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    there: set[str] = set()
    for file in (CHECKOUT / "tests").rglob("*.py"):
        there.update(re.findall(r"def (test_\w+)", file.read_text(encoding="utf-8")))
        there.add(file.stem)
    assert named
    assert named - there == set()


def test_the_overview_leads_to_every_part() -> None:
    overview = (CHECKOUT / "docs" / "conformance.md").read_text(encoding="utf-8")
    assert [part for part in PARTS if f"conformance/{part}.md" not in overview] == []
