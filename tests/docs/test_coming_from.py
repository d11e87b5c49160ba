"""The page that compares programs counts their lines as they are, and Muster's are fewer."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"
MORE_ON_PURPOSE = {"12."}
"""Where the page itself says that others take fewer lines, and why."""


@pytest.fixture(scope="module")
def counting() -> ModuleType:
    spec = importlib.util.spec_from_file_location("count_lines", DOCS / "count_lines.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def page() -> str:
    return (DOCS / "coming_from.md").read_text(encoding="utf-8")


def test_the_table_has_the_lines_of_the_programs(counting: ModuleType, page: str) -> None:
    assert counting.with_table(page) == page, "run `python docs/count_lines.py`"


def test_each_program_of_muster_has_fewer_lines_than_all_others(
    counting: ModuleType, page: str
) -> None:
    counts = counting.count_all(page)
    assert len(counts) == 12
    assert sum(len(each) for each in counts.values()) > 45
    for title, by_system in counts.items():
        others = {system: lines for system, lines in by_system.items() if system != "Muster"}
        if title.split()[0] not in MORE_ON_PURPOSE:
            assert by_system["Muster"] < min(others.values()), title


@pytest.mark.parametrize(
    ("program", "lines"),
    [("", 0), ("\n  # a comment\n\n", 0), ("a = 1  # with a comment\n\n    b = 2\n", 2)],
)
def test_blank_lines_and_comments_do_not_count(
    counting: ModuleType, program: str, lines: int
) -> None:
    assert counting.count(program) == lines


def test_programs_of_others_are_python(counting: ModuleType, page: str) -> None:
    for number, program in enumerate(page.split("```py\n")[1:]):
        compile(program.partition("```")[0], f"program {number}", "exec")
