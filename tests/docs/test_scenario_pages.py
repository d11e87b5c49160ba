"""The pages of the scenarios tell what the scenarios do."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

WRITER = Path(__file__).parents[2] / "docs" / "write_scenario_pages.py"


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_scenario_pages", WRITER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_scenario_has_a_page_that_is_current(writer: ModuleType) -> None:
    stale = [
        path.name
        for path, text in writer.pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    assert stale == [], "run: python docs/write_scenario_pages.py"


def test_no_page_is_left_of_a_scenario_that_is_gone(writer: ModuleType) -> None:
    assert set(writer.FOLDER.glob("*.md")) == set(writer.pages())
