"""The page on dependencies gives each one's range as pyproject.toml has it, and no others."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
ROW = re.compile(r"^\| ([\w-]+) \| `([^`]+)` \|", re.MULTILINE)
REQUIREMENT = re.compile(
    r'^    "(?!ceylon-muster\[)([\w-]+)((?:\[\w+\])?[<>=][^";]+)(?:;[^"]+)?",$', re.MULTILINE
)


def test_every_dependency_has_its_row_with_its_range() -> None:
    required = REQUIREMENT.findall(PROJECT.partition("\n[project.scripts]\n")[0])
    assert len(required) > 30
    assert sorted(ROW.findall(PAGE)) == sorted(required)
