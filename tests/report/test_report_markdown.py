"""The report as Markdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from muster.agents.kernel.model.health import Health
from muster.agents.kernel.model.records import AttemptOutcome
from muster.agents.report.markdown import MAX_TASKS_LISTED, render_markdown
from muster.agents.report.model import AttemptReport, GroupReport
from muster.messages import TaskStatus

Make = Callable[..., Any]

TOLD = """\
# estate

**1 of 2 tasks completed (50%)** in 4 s.

| Summary |  |
| --- | ---: |
| Pending | 0 |
| In Progress | 0 |
| Completed | 1 |
| Failed | 1 |
| Cancelled | 0 |
| Workers | 2 |
| Lost | 1 worker, no attempt, no task |
| Work | 4 s |
| Mean time | 2 s |
| Policy | best\\_fit |

## Timeline

```text
Ada |##############################xxxxxxxxxxxxxxx...............|
Ben |...............                                             | lost at 1 s
```

From 0 to 4 s: `#` succeeded, `>` running, `b` returned, `p` postponed, \
`o` overtaken, `d` declined, `r` rejected, `c` cancelled, `x` failed, `t` timed out, `!` lost.

## Workers

| Worker | Health | Skill | Slots | Attempts | Success | Mean time | Busy |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |
| Ada | healthy | 5 | 1 | 1 | 100% | 2 s | 50% |
| Ben | lost | 5 | 1 | 1 | 100% | 2 s | 50% |

## Success by difficulty

| Difficulty | Completed | Of | Success |
| ---: | ---: | ---: | ---: |
| 1 | 1 | 2 | 50% |

## Errors

| Tasks given up | Count |
| --- | ---: |
| ValueError | 1 |

## Tasks

| Task | Description | Status | Worker | Difficulty | Attempts | Time | Error |
| --- | --- | --- | --- | ---: | ---: | ---: | --- |
| 1 | task number 1 | Completed | Ada | 1 | 1 | 2 s |  |
| 2 | task number 2 | Failed | Ada | 1 | 1 | 2 s | ValueError: no such \\| pipe |

## Sequence diagram

```mermaid
sequenceDiagram
    A->>B: hello
```
"""


def attempt(began_s: float, ended_s: float, outcome: AttemptOutcome) -> AttemptReport:
    return AttemptReport(
        number=1,
        worker="Ada",
        started_at=1_000.0 + began_s,
        ended_at=1_000.0 + ended_s,
        outcome=outcome,
    )


def test_a_run_is_told_in_full(run_report: Make, task_report: Make, worker_report: Make) -> None:
    tasks = [
        task_report(1, history=[attempt(0, 2, AttemptOutcome.SUCCEEDED)]),
        task_report(
            2,
            TaskStatus.FAILED,
            error_message="ValueError: no such | pipe",
            history=[attempt(2, 3, AttemptOutcome.FAILED)],
        ),
    ]
    report = run_report(
        tasks,
        name="estate",
        workers={
            "Ada": worker_report(health=Health.HEALTHY),
            "Ben": worker_report(lost=True, health=Health.LOST, left_at=1_001.0),
        },
        by_difficulty={1: GroupReport(tasks=2, completed=1, success_rate=0.5)},
        error_counts={"ValueError": 1},
    )
    assert render_markdown(report, "sequenceDiagram\n    A->>B: hello\n") == TOLD


def test_texts_from_outside_are_nothing_but_text(run_report: Make, task_report: Make) -> None:
    told = render_markdown(
        run_report([task_report(1, description="<script>|\n# [a](b) `c`\x1b[0m \ud800")])
    )
    assert r"\<script\>\| \# \[a\]\(b\) \`c\`" in told
    assert "\x1b" not in told
    assert told.encode()


def test_a_diagram_can_not_end_its_own_fence(run_report: Make) -> None:
    told = render_markdown(run_report([]), "sequenceDiagram\n```\nNote")
    assert told.endswith("````mermaid\nsequenceDiagram\n```\nNote\n````\n")


def test_of_many_tasks_those_that_did_not_complete_are_listed(
    run_report: Make, task_report: Make
) -> None:
    tasks = [task_report(number) for number in range(1, MAX_TASKS_LISTED + 50)]
    tasks.append(task_report(9_999, TaskStatus.FAILED))
    told = render_markdown(run_report(tasks))
    assert "| 9999 |" in told
    assert f"| {MAX_TASKS_LISTED - 1} |" in told
    assert f"| {MAX_TASKS_LISTED} |" not in told
    assert told.endswith("… 50 more tasks\n")


def test_a_failed_run_says_why(run_report: Make) -> None:
    told = render_markdown(run_report([], failure="0 of 1 expected workers joined"))
    assert "The run failed: 0 of 1 expected workers joined" in told
