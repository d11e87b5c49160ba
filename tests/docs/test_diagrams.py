"""Every sequence diagram in the README and in docs/ is held against a run."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from muster.agents.command.scenario_finder import find_scenario
from muster.agents.command.trace_sources import trace_scenario
from muster.agents.diagram import FoundDiagram, check_diagram, find_diagrams
from muster.agents.kernel.trace import Trace

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
DIAGRAMS = [
    pytest.param(found, id=f"{page.relative_to(ROOT)}-{found.diagram.line}")
    for page in PAGES
    for found in find_diagrams(page.read_text(encoding="utf-8"), page.name)
]

FEWER = {("model_team",): ("model_team", "60")}
"""Runs that are shorter than the page's and take the same course."""

_traces: dict[tuple[str, ...], Trace] = {}


@pytest.mark.parametrize("found", DIAGRAMS)
def test_the_diagram_holds_for_the_run_that_it_names(found: FoundDiagram) -> None:
    if found.exempt:
        test = re.search(r"tests/\S+\.py", found.exempt)
        assert test is not None, "what is not checked here must name the test that does it"
        assert (ROOT / test[0]).is_file()
        return
    assert found.run, "put <!-- check: SCENARIO --> before the diagram"
    scenario = find_scenario(found.run[0])
    if scenario.needs_the_real_network():
        # The same as in its docstring, which is held against a real run where that is played.
        story = importlib.import_module(scenario.__module__).__doc__ or ""
        (documented,) = find_diagrams(story, scenario.name())
        assert found.diagram == documented.diagram
        return
    run = FEWER.get(found.run, found.run)
    if run not in _traces:
        _traces[run] = trace_scenario(scenario(arguments=run[1:]))
    verdict = check_diagram(found.diagram, _traces[run], second_s=1.0)
    assert verdict.mismatch is None


def test_the_documents_five_diagrams_are_among_them() -> None:
    page = (ROOT / "docs" / "diagrams.md").read_text(encoding="utf-8")
    runs = [found.run[0] for found in find_diagrams(page, "diagrams.md")]
    assert runs == ["normal_operation", "error_handling", "timeout", "all_well", "some_failures"]
