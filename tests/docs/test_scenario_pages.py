"""The pages of the scenarios tell what the scenarios do."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from muster.agents.command.scenario_finder import built_in_scenarios
from muster.scenarios.scenario import Scenario

WRITER = Path(__file__).parents[2] / "docs" / "write_scenario_pages.py"


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_scenario_pages", WRITER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "scenario",
    [
        # What is in virtual time asks hundreds of questions under several policies.
        pytest.param(each, id=each.name(), marks=[pytest.mark.slow] * each.in_virtual_time)
        for each in built_in_scenarios()
    ],
)
def test_every_scenario_has_a_page_that_is_current(
    writer: ModuleType, scenario: type[Scenario]
) -> None:
    path = writer.path_of(scenario)
    assert path.exists(), "run: python docs/write_scenario_pages.py"
    is_current = path.read_text(encoding="utf-8") == writer.page_of(scenario)
    assert is_current, "run: python docs/write_scenario_pages.py"


@pytest.mark.parametrize(
    "scenario",
    [each for each in built_in_scenarios() if each.in_virtual_time],
    ids=lambda s: s.name(),
)
def test_a_page_whose_run_is_long_tells_what_its_docstring_tells(
    writer: ModuleType, scenario: type[Scenario]
) -> None:
    assert (
        writer.path_of(scenario).read_text(encoding="utf-8").startswith(writer.story_of(scenario))
    )


def test_no_page_is_left_of_a_scenario_that_is_gone(writer: ModuleType) -> None:
    expected = {writer.path_of(each) for each in built_in_scenarios()}
    assert set(writer.FOLDER.glob("*.md")) == expected
