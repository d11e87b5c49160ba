"""Writes docs/scenarios/NAME.md from each scenario's docstring and a rehearsal of it.

Run it after changing a scenario: `python docs/write_scenario_pages.py`. A test says whether the
pages are current.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from muster.agents import run_in_virtual_time
from muster.agents.command.scenario_finder import built_in_scenarios
from muster.agents.report.text import render_text
from muster.scenarios.scenario import Scenario

FOLDER = Path(__file__).with_name("scenarios")
REPORT_WIDTH = 96


def pages() -> dict[Path, str]:
    """Each page's path and text."""
    return {path_of(each): page_of(each) for each in built_in_scenarios()}


def path_of(scenario: type[Scenario]) -> Path:
    """Where a scenario's page is."""
    return FOLDER / f"{scenario.name()}.md"


def page_of(scenario: type[Scenario]) -> str:
    """The text of a scenario's page."""
    parts = [story_of(scenario)]
    if scenario.takes:
        parts.append(f"Argument: {scenario.takes}.")
    if _can_rehearse(scenario):
        parts.append("In virtual time it always ends so:")
        parts.append(f"```text\n{_ending(scenario())}\n```")
    return "\n\n".join(parts) + "\n"


def story_of(scenario: type[Scenario]) -> str:
    """The part of the page that takes no rehearsal: the docstring and the command."""
    name = scenario.name()
    story = (importlib.import_module(scenario.__module__).__doc__ or "").strip()
    headline, _, rest = story.partition("\n")
    command = f"muster run {name}"
    if not scenario.has_worker_processes and not scenario.in_virtual_time:
        command += " --time-scale 0.1"
    sure_to_fail = "" if _succeeds(name) else " || test $? = 1"
    parts = [
        f"# {name}",
        headline,
        # So that `muster check` knows which run the page's diagram shows.
        rest.strip().replace("```mermaid", f"<!-- check: {name} -->\n```mermaid"),
        f"```sh\n{command}{sure_to_fail}\n```",
    ]
    return "\n\n".join(parts)


def _ending(scenario: Scenario) -> str:
    if not scenario.in_virtual_time:
        report = run_in_virtual_time(scenario.rehearse())
        return render_text(report, width=REPORT_WIDTH).strip()
    # Its conclusion is its point; of its report, which is long, the page has the end.
    report = run_in_virtual_time(scenario.play())
    text = render_text(report, width=REPORT_WIDTH)
    return f"{text[text.rindex('Policy: ') :].strip()}\n\n{scenario.conclusion(report)}"


def _can_rehearse(scenario: type[Scenario]) -> bool:
    return not scenario.needs_the_real_network() and not scenario.has_worker_processes


def _succeeds(name: str) -> bool:
    return name not in {"some_failures", "error_handling", "timeout", "model_team"}


def main() -> None:
    """Write all pages."""
    FOLDER.mkdir(exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(FOLDER.parent.parent)}\n")


if __name__ == "__main__":
    main()
