"""What the HTML page is made of: everything escaped, nothing fetched, and never too large."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html import unescape
from importlib.resources import files
from typing import Any

import pytest
from muster.agents.kernel.model.health import Health
from muster.agents.kernel.model.records import AttemptOutcome
from muster.agents.report import html as report_html
from muster.agents.report.html import MAX_PAGE_BYTES, render_html
from muster.agents.report.html.page import (
    MAX_DIAGRAM_CHARACTERS,
    MAX_DRAWING_BYTES,
    MAX_WORKERS_LISTED,
)
from muster.agents.report.html.page_data import MAX_KINDS_LISTED, embed_tasks
from muster.agents.report.html.task_table import MAX_ROWS_BYTES, draw_rows
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
        *(0, None, "", None, None, ""),
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
    assert page.count('<th scope="row" class="name">') == MAX_WORKERS_LISTED
    assert '<th scope="row" class="name">Zoe</th>' in page
    assert "… 10 more workers" in page


def test_a_run_of_nothing_has_a_page(run_report: Make) -> None:
    page = render_html(run_report([]))
    assert "<h1>No tasks</h1>" in page
    assert "task-table" not in _markup(page).partition("</style>")[2]


def test_a_diagram_is_shown_as_text_up_to_a_limit(run_report: Make) -> None:
    assert (
        '<pre tabindex="0"><code>sequenceDiagram\n    A-&gt;&gt;B: hello</code></pre>'
        in render_html(run_report([]), "sequenceDiagram\n    A->>B: hello")
    )
    page = render_html(run_report([]), "x" * 9 + "\n" + "y" * MAX_DIAGRAM_CHARACTERS)
    assert '<pre tabindex="0"><code>xxxxxxxxx\n    %% … the rest is left out</code></pre>' in page


@pytest.mark.parametrize(
    ("count", "characters"), [(1, 5_000_000), (2_000, 5_000)], ids=["one huge", "many large"]
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


def test_a_diagram_is_drawn_unless_it_cannot_be_read_or_is_too_large(run_report: Make) -> None:
    def is_drawn(diagram: str | None) -> bool:
        return '<svg class="sequence"' in render_html(run_report([]), diagram)

    assert is_drawn("sequenceDiagram\n    A->>B: hello")
    too_large = "    A->>B: hello\n" * (MAX_DRAWING_BYTES // 100)
    for text in (None, "", "sequenceDiagram", "gantt", EVIL, f"sequenceDiagram\n{too_large}"):
        assert not is_drawn(text)


def test_the_page_says_how_the_run_stands(run_report: Make, task_report: Make) -> None:
    def standing(*statuses: TaskStatus, **fields: Any) -> tuple[str, str, str]:
        tasks = [task_report(number, status) for number, status in enumerate(statuses, 1)]
        page = render_html(run_report(tasks, **fields))
        found = re.search(r'<span class="standing t-(\w+)">([^<]*)</span>', page)
        title = re.search(r"<title>task_manager: ([^<]*)</title>", page)
        assert found
        assert title
        return found[1], found[2], title[1]

    completed, failed, pending = TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.PENDING
    assert standing(completed) == ("good", "succeeded", "The task completed")
    assert standing(completed, completed, completed, failed) == (
        *("bad", "25% did not succeed", "3 of 4 tasks completed, 1 failed"),
    )
    assert standing(completed, pending) == ("open", "not finished", "1 of 2 tasks completed")
    assert standing(completed, pending, has_ended=True)[1] == "ended early"
    assert standing(completed, failure="no port")[:2] == ("bad", "failed")


def test_lost_attempts_and_missed_deadlines_have_their_figures(
    run_report: Make, task_report: Make
) -> None:
    tasks = [task_report(1, deadline=5.0, late_s=2.0), task_report(2, deadline=5.0)]
    report = run_report(tasks, attempts_lost=3, tasks_lost=1, deadlines_missed=1)
    page = render_html(report)
    assert "<dt>Attempts lost</dt><dd>3<small>1 failed for it</small></dd>" in page
    assert "<dt>Deadlines missed</dt><dd>1<small>of 2</small></dd>" in page
    assert '<th scope="col" class="n">Late</th>' in page
    assert "Late" in data_of(page)["columns"]
    page = render_html(run_report([task_report(1)]))
    assert "Attempts lost" not in page
    assert "Deadlines missed" not in page


def test_an_error_names_its_tasks(run_report: Make, task_report: Make) -> None:
    kinds = [f"Error{number:03}" for number in range(MAX_KINDS_LISTED + 3)]
    tasks = [
        task_report(kind, TaskStatus.FAILED, error_message=f"{kind}: no") for kind in kinds
    ] + [task_report("well", error_message=None)]
    page = render_html(run_report(tasks, error_counts=dict.fromkeys(kinds, 1)))
    data = data_of(page)
    assert data["kinds"] == kinds[:MAX_KINDS_LISTED]
    named = {row[0]: None if row[19] is None else data["kinds"][row[19]] for row in data["tasks"]}
    assert named == {kind: kind for kind in kinds[:MAX_KINDS_LISTED]} | {
        **dict.fromkeys(kinds[MAX_KINDS_LISTED:]),
        "well": None,
    }


def test_without_a_script_the_tasks_with_trouble_are_listed_as_far_as_there_is_room(
    run_report: Make, task_report: Make
) -> None:
    tasks = [
        task_report(number, TaskStatus.FAILED if number % 50 == 0 else TaskStatus.COMPLETED)
        for number in range(1, 2_001)
    ]
    tasks[49] = tasks[49].model_copy(update={"error_traceback": f"Traceback: {EVIL}"})
    drawn = draw_rows(run_report(tasks))
    assert sum(map(len, drawn.rows)) <= MAX_ROWS_BYTES
    assert len(drawn.rows) + drawn.left_out == len(tasks)
    ids = [int(re.findall(r'class="name">(\d+)<', row)[0]) for row in drawn.rows]
    assert ids == sorted(ids)
    assert set(range(50, 2_001, 50)) < set(ids)
    assert "Traceback: &lt;/script&gt;" in "".join(drawn.rows)


STYLE = (files(report_html) / "page.css").read_text(encoding="utf-8")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_colour_of_text_is_readable_on_whatever_is_behind_it(theme: str) -> None:
    light, dark = (
        dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[:2]
    )
    colours = light if theme == "light" else light | dark
    texts = ("--ink", "--soft", "--good", "--bad", "--open", "--gone")
    for text in texts:
        for paper in ("--paper", "--raised", "--lane"):
            found = _contrast(colours[text], colours[paper])
            assert found >= 4.5, f"{text} on {paper}: {found:.2f}"
    assert _contrast(colours["--ink"], colours["--note"]) >= 4.5
    # No other colour is used for text.
    used = set(re.findall(r"(?:[{; ]color|text[^{]*\{ fill): var\((--[\w-]+)\)", STYLE))
    assert used <= set(texts)


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
