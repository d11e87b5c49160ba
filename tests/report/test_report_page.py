"""What the HTML page is made of: everything escaped, nothing fetched, and never too large."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from muster.agents.kernel.model.health import Health
from muster.agents.kernel.model.records import AttemptOutcome
from muster.agents.report.html import MAX_PAGE_BYTES, render_html
from muster.agents.report.html.page import MAX_DIAGRAM_CHARACTERS, MAX_WORKERS_LISTED
from muster.agents.report.html.page_data import embed_tasks
from muster.agents.report.model import AttemptReport, GroupReport
from muster.messages import TaskStatus

Make = Callable[..., Any]

EVIL = "</script><script>alert('&')</script><img src=x onerror=alert(1)>"


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_the_page_heeds_its_own_script_and_style_alone(run_report: Make, task_report: Make) -> None:
    page = render_html(run_report([task_report(1)]))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    rules = dict(rule.split(" ", 1) for rule in unescape(policy[1]).split("; "))
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert (len(script), len(style)) == (1, 1)

    def hash_of(source: str) -> str:
        return base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()

    assert rules == {
        "default-src": "'none'",
        "script-src": f"'sha256-{hash_of(script[0])}'",
        "style-src": f"'sha256-{hash_of(style[0])}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_the_page_names_nothing_outside_itself(run_report: Make, task_report: Make) -> None:
    page = render_html(run_report([task_report(1)]), "sequenceDiagram")
    assert not re.search(r"""\b(src|href|action)=|@import|url\(|https?:|//\w""", _markup(page))
    # Its policy would not heed them either.
    assert not re.search(r"\s(style|on\w+)=", _markup(page))


def _markup(page: str) -> str:
    """The page without its script, whose remarks may have slashes."""
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def test_whatever_comes_from_outside_is_shown_as_text(
    run_report: Make, task_report: Make, worker_report: Make
) -> None:
    attempt = AttemptReport(
        number=1, worker=EVIL, started_at=1_001.0, ended_at=1_002.0, outcome=AttemptOutcome.FAILED
    )
    task = task_report(
        EVIL,
        TaskStatus.FAILED,
        description=EVIL,
        type=EVIL,
        worker=EVIL,
        error_message=EVIL,
        output={EVIL: EVIL},
        why=[EVIL],
        depends_on=[EVIL],
        parent_id=EVIL,
        history=[attempt],
    )
    report = run_report(
        [task],
        name=EVIL,
        policy=EVIL,
        failure=EVIL,
        workers={EVIL: worker_report(specialties=[EVIL])},
        error_counts={EVIL: 1},
        ignored={EVIL: 1},
        dropped={EVIL: 1},
    )
    page = render_html(report, EVIL)
    # The data's and the script's own.
    assert page.count("</script>") == 2
    assert page.count("<script") == 2
    assert "<img" not in page
    (row,) = data_of(page)["tasks"]
    assert row[:3] == [EVIL] * 3
    assert json.loads(row[12]) == {EVIL: EVIL}


def test_texts_that_no_file_can_hold_are_replaced(run_report: Make, task_report: Make) -> None:
    half = "half a pair: \ud800"
    report = run_report(
        [task_report(1, description=half, output=half, why=[half])], name=half, failure=half
    )
    page = render_html(report, half)
    assert page.encode().decode() == page


def test_tasks_come_with_their_story(run_report: Make, task_report: Make) -> None:
    attempts = [
        AttemptReport(
            number=1,
            worker="Ben",
            started_at=1_000.0,
            ended_at=1_000.5,
            outcome=AttemptOutcome.LOST,
        ),
        AttemptReport(number=2, worker="Ada", started_at=1_001.0, ended_at=None, outcome=None),
    ]
    task = task_report(
        7,
        TaskStatus.IN_PROGRESS,
        attempts=2,
        history=attempts,
        why=["a", "b"],
        depends_on=[5, "six"],
    )
    data = data_of(render_html(run_report([task])))
    assert data["workers"] == ["Ben", "Ada"]
    assert data["outcomes"][:3] == ["running", "succeeded", "failed"]
    (row,) = data["tasks"]
    assert row == [
        *(7, "task number 7", "", 1, 0, 1, 1, 2, None, 500, "", "a\nb", "", "5, six", ""),
        [
            [1, 0, 0, 500, data["outcomes"].index("lost"), 0, None, 0],
            [2, 1, 1_000, None, 0, 0, None, 0],
        ],
        *(0, None, "", ""),
    ]


def test_lost_and_late_workers_are_marked(run_report: Make, worker_report: Make) -> None:
    workers = {
        "Ada": worker_report(health=Health.HEALTHY),
        "Ben": worker_report(health=Health.LATE, silent_for=6.0),
        "Cid": worker_report(lost=True, health=Health.LOST, left_at=1_002.0),
    }
    page = render_html(run_report([], workers=workers))
    assert re.findall(r'class="health h-(\w+)"', page) == ["healthy", "late", "lost"]
    assert "last heard 6 s before" in page
    assert page.count("lost at 2 s") == 1
    assert "<small>at 2 s</small>" in page


def test_success_is_shown_by_difficulty(run_report: Make) -> None:
    groups = {3: GroupReport(tasks=4, completed=3, success_rate=0.75)}
    page = render_html(run_report([], by_difficulty=groups))
    assert 'width="75.00%"' in page
    assert "3 of 4" in page


def test_of_many_workers_those_with_trouble_are_listed(
    run_report: Make, worker_report: Make
) -> None:
    workers = {f"W{number}": worker_report() for number in range(MAX_WORKERS_LISTED + 9)}
    workers["Zoe"] = worker_report(lost=True)
    page = render_html(run_report([], workers=workers))
    assert page.count('<th scope="row">') == MAX_WORKERS_LISTED
    assert '<th scope="row">Zoe</th>' in page
    assert "… 10 more workers" in page


def test_a_run_of_nothing_has_a_page(run_report: Make) -> None:
    page = render_html(run_report([]))
    assert "<h1>No tasks</h1>" in page
    assert "task-table" not in _markup(page).partition("</style>")[2]


def test_a_diagram_is_shown_as_text_up_to_a_limit(run_report: Make) -> None:
    assert "<pre><code>sequenceDiagram\n    A-&gt;&gt;B: hello</code></pre>" in render_html(
        run_report([]), "sequenceDiagram\n    A->>B: hello"
    )
    page = render_html(run_report([]), "x" * 9 + "\n" + "y" * MAX_DIAGRAM_CHARACTERS)
    assert "<pre><code>xxxxxxxxx\n    %% … the rest is left out</code></pre>" in page


@pytest.mark.parametrize(
    ("count", "characters"), [(1, 5_000_000), (5_000, 2_000)], ids=["one huge", "many large"]
)
def test_the_page_is_never_too_large(
    run_report: Make, task_report: Make, count: int, characters: int
) -> None:
    output = "ü" * characters
    page = render_html(
        run_report([task_report(number, output=output) for number in range(1, count + 1)])
    )
    assert len(page.encode()) <= MAX_PAGE_BYTES < 3_000_000
    assert len(data_of(page)["tasks"]) == count
    assert ("Long texts are cut off" in page) is (count > 1)


def test_of_too_many_tasks_those_that_did_not_complete_stay(
    run_report: Make, task_report: Make
) -> None:
    tasks = [
        task_report(number, TaskStatus.FAILED if number % 50 == 0 else TaskStatus.COMPLETED)
        for number in range(1, 2_001)
    ]
    data = embed_tasks(run_report(tasks), 50_000)
    rows = json.loads(data.json)["tasks"]
    assert len(data.json) <= 50_000
    assert data.left_out == 2_000 - len(rows) > 0
    shown = [row[0] for row in rows]
    assert shown == sorted(shown)
    assert set(range(50, 2_001, 50)) <= set(shown)
