"""What a run cost, how good its results were, and what workers have shown, in all forms."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.board.board import Board
from muster.agents.kernel.matching.adaptive import AdaptivePolicy
from muster.agents.kernel.matching.learning_policy import SettledAttempt
from muster.agents.kernel.matching.policy_names import POLICIES
from muster.agents.kernel.matching.scorecards.scorecards import Scorecards
from muster.agents.kernel.model.events import StopRequested
from muster.agents.kernel.model.records import AttemptOutcome, WorkerRecord
from muster.agents.report.formatting import format_cost
from muster.agents.report.html import render_html
from muster.agents.report.html.page import tint_of
from muster.agents.report.markdown import render_markdown
from muster.agents.report.model import AttemptReport, GroupReport, RunReport
from muster.agents.report.skill_cell import SkillCell
from muster.agents.report.skill_map import make_skill_map, read_skills
from muster.agents.report.text import render_text
from muster.messages import Task, WorkerProfile

Make = Callable[..., Any]


def cell(worker: str = "Ada", task_type: str = "vision", **fields: Any) -> SkillCell:
    given: dict[str, Any] = {
        "worker": worker,
        "type": task_type,
        "is_named_skill": False,
        "skill": 6.94,
        "deviation": 0.81,
        "chance": 0.81,
        "results": 23,
        "pace_s": 2.0,
        "cost": 0.0124,
        "blocked": None,
    }
    return SkillCell(**{**given, **fields})


@pytest.fixture
def costly(run_report: Make, task_report: Make, worker_report: Make) -> RunReport:
    """A run with costs, grades, a declined and a rejected attempt, and skills."""

    def attempt(number: int, outcome: AttemptOutcome, **fields: Any) -> AttemptReport:
        moments = {"started_at": 1_000.0 + number, "ended_at": 1_001.0 + number}
        return AttemptReport(number=number, worker="Ada", outcome=outcome, **moments, **fields)

    attempts = [
        attempt(1, AttemptOutcome.DECLINED),
        attempt(2, AttemptOutcome.REJECTED, cost=0.5, quality=0.2),
        attempt(3, AttemptOutcome.SUCCEEDED, cost=0.75, quality=0.9),
    ]
    terms: dict[str, Any] = {
        "required_skills": {"vision": 7.0},
        "strict": True,
        "deadline": 60.0,
        "escalate": ["small", "Ada"],
        "review": True,
        "votes": 3,
    }
    task = task_report(
        1, type="vision", attempts=3, history=attempts, cost=1.25, quality=0.9, **terms
    )
    ada = worker_report(cost=1.25, quality=0.55, declined=1, rejected=1)
    by_type = {
        "vision": GroupReport(tasks=1, completed=1, success_rate=1.0, cost=1.25, quality=0.9)
    }
    skills = [
        cell(),
        cell(task_type="", results=1, chance=0.1, pace_s=None, cost=None),
        cell(task_type="fine print", is_named_skill=True),
        cell("Ben", blocked="4 failures in a row", chance=0.02),
    ]
    return run_report(
        [task],
        workers={"Ada": ada, "Ben": worker_report()},
        by_type=by_type,
        cost=1.25,
        cost_unit="EUR",
        budget=20.0,
        budget_left=18.75,
        quality=0.55,
        skills=skills,
    )


def test_the_text_tells_costs_grades_and_skills(costly: RunReport) -> None:
    text = render_text(costly, 200)
    assert "Cost: 1.25 EUR of a budget of 20, 18.75 left" in text
    assert "Quality: 0.55" in text
    headings = next(line for line in text.splitlines() if "Declined" in line)
    assert headings.split()[-4:] == ["Cost", "Quality", "Declined", "Rejected"]
    assert re.search(r"^Ada +5 .* 1\.25 +0\.55 +1 +1$", text, re.MULTILINE)
    assert re.search(r"^Ada +vision +6\.9 ± 0\.8 +81\.0% +23 +2\.0 s +0\.0124$", text, re.MULTILINE)
    assert re.search(r"^Ada +\(no type\) +6\.9 ± 0\.8 +10\.0% +1 +- +-$", text, re.MULTILINE)
    assert re.search(r"^Ada +skill fine print +", text, re.MULTILINE)
    assert "4 failures in a row" in text


def test_a_run_without_costs_says_nothing_of_them(run_report: Make, task_report: Make) -> None:
    report = run_report([task_report(1)])
    for rendered in (render_text(report), render_markdown(report)):
        assert not re.search("Cost|Quality|USD|shown", rendered)
    page = re.sub(r"<(script|style)>.*?</\1>", "", render_html(report), flags=re.DOTALL)
    assert not re.search("Cost|Quality|USD|have shown", page)


def test_markdown_tells_costs_grades_and_skills(costly: RunReport) -> None:
    text = render_markdown(costly)
    assert "| Cost | 1.25 EUR of a budget of 20, 18.75 left |" in text
    assert "| Quality | 0.55 |" in text
    assert "| Ada | vision | 6.9 ± 0.8 | 81% | 23 | 2 s | 0.0124 |  |" in text
    assert "| Ada | skill fine print | 6.9 ± 0.8 | 81% | 23 | 2 s | 0.0124 |  |" in text
    assert "| 1.25 | 0.55 | 1 | 1 |" in text
    # A declined and a rejected attempt have their own signs on the timeline.
    assert re.search(r"^Ada +\|.*d+r+#+.*\|", text, re.MULTILINE)


def test_the_page_has_a_map_of_skills_with_its_numbers_in_it(costly: RunReport) -> None:
    page = render_html(costly)
    assert "<dt>Cost</dt><dd>1.25 EUR<small>18.75 left of 20</small></dd>" in page
    assert "<dt>Quality</dt><dd>0.55<small>" in page
    assert (
        '<td class="k8"><b>6.9 ± 0.8</b><span>81% · 23 results</span><span>2 s · 0.0124</span></td>'
        in page
    )
    assert '<td class="none">no results</td>' in page
    assert "<span>blocked: 4 failures in a row</span>" in page
    assert '<th scope="col">skill fine print' in page
    assert "o-declined" in page
    assert "o-rejected" in page


def test_a_map_shows_the_workers_and_types_with_the_most_results() -> None:
    cells = [cell(f"W{n:02}", f"t{n % 5}", results=n) for n in range(50)]
    shown = make_skill_map(cells, max_rows=10, max_columns=3)
    assert [row.worker for row in shown.rows] == [f"W{n}" for n in range(40, 50)]
    assert [column.name for column in shown.columns] == ["t2", "t3", "t4"]
    assert (shown.hidden_rows, shown.hidden_columns) == (40, 2)
    assert all(len(row.cells) == 3 for row in shown.rows)


def test_a_policy_that_does_not_learn_has_no_skills() -> None:
    assert all(read_skills(Board(policy=make())) == ([], 0) for make in POLICIES.values())


def test_what_scorecards_hold_is_read_and_left_as_it_was() -> None:
    scorecards = Scorecards()
    ada = WorkerRecord(WorkerProfile("Ada", 5), "at Ada", "1", 1, 0.0, 0.0)
    board = Board(policy=AdaptivePolicy(scorecards))
    for number in range(30):
        task = Task(id=1, description="a task", difficulty=5, type="vision")
        scorecards.learn(
            SettledAttempt(
                *(task, ada, 1, AttemptOutcome.SUCCEEDED, 2.0, "", None, 0.5, True, float(number))
            )
        )
    # The policy takes them into account when it chooses, and not because somebody looks.
    assert read_skills(board).cells == []
    board.handle(StopRequested("enough"), 100.0)
    assert [known.results for known in read_skills(board).cells] == [30]
    # A task that was only considered leaves no trace in the map.
    scorecards.chance(ada, Task(id=2, description="another", type="text"))
    before = scorecards.export()
    ((known,), _) = read_skills(board)
    assert scorecards.export() == before
    assert (known.worker, known.type, known.results, known.blocked) == ("Ada", "vision", 30, None)
    assert known.chance > 0.8
    assert known.skill > 5
    assert known.cost == pytest.approx(0.5)
    assert known.pace_s == pytest.approx(2.0, rel=0.3)


@pytest.mark.parametrize(
    ("cost", "shown"),
    [(None, "-"), (0.0, "0"), (0.0124, "0.0124"), (1 / 3, "0.3333"), (12_345.6, "12,346")],
)
def test_a_cost_is_short(cost: float | None, shown: str) -> None:
    assert format_cost(cost) == shown
    assert format_cost(cost or 0.0, "EUR").endswith(" EUR")


@pytest.mark.parametrize(
    ("share", "tint"), [(-1, "k0"), (0.04, "k0"), (0.5, "k5"), (1, "k10"), (2, "k10")]
)
def test_a_share_has_one_of_eleven_tints(share: float, tint: str) -> None:
    assert tint_of(share) == tint
