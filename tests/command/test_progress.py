"""How a run is shown: counted, line by line, and on a terminal."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from muster.agents.command.console.live_display import LiveDisplay, render
from muster.agents.command.console.plain_lines import PlainLines
from muster.agents.command.console.tally import MAX_PENDING, RunTally
from muster.agents.kernel.model.occurrences import JoinFacts, Occurrence, OccurrenceKind
from muster.messages import TaskStatus
from rich.console import Console

BEGAN = 1_000.0


def tally_of(tasks: int, *occurrences: Occurrence) -> RunTally:
    tally = RunTally(tasks, BEGAN)
    for occurrence in occurrences:
        tally.note(occurrence)
    return tally


def joined(at: float, name: str) -> Occurrence:
    return Occurrence(BEGAN + at, OccurrenceKind.WORKER_JOINED, worker=name, facts=JoinFacts(3, 2))


def task(
    at: float, what: OccurrenceKind, number: int, worker: str = "", detail: str = ""
) -> Occurrence:
    return Occurrence(BEGAN + at, what, number, 1, worker, detail)


STORY = (
    joined(0.5, "Junior"),
    joined(0.5, "Senior"),
    Occurrence(BEGAN + 1, OccurrenceKind.ASSIGNING_BEGUN),
    task(1, OccurrenceKind.TASK_ASSIGNED, 3, "Junior"),
    task(1, OccurrenceKind.TASK_ASSIGNED, 2, "Senior"),
    task(6, OccurrenceKind.TASK_COMPLETED, 2, "Senior"),
    task(9, OccurrenceKind.ATTEMPT_FAILED, 3, "Junior", "too difficult: skill 3 is below 8"),
    task(9, OccurrenceKind.TASK_FAILED, 3, "Junior", "too difficult: skill 3 is below 8"),
)


@pytest.fixture
def lines_of() -> Callable[[RunTally, float], list[str]]:
    """What the plain display writes of a run in one go."""

    def write(tally: RunTally, at: float) -> list[str]:
        stream = io.StringIO()
        PlainLines(stream).draw(tally, BEGAN + at)
        return stream.getvalue().splitlines()

    return write


@pytest.fixture
def screen_of() -> Callable[..., list[str]]:
    """What the live display looks like on a terminal so many columns wide."""

    def look(tally: RunTally, at: float, width: int = 100) -> list[str]:
        console = Console(file=io.StringIO(), width=width, record=True, force_terminal=True)
        console.print(render(tally, BEGAN + at))
        return [line.rstrip() for line in console.export_text().splitlines()]

    return look


# ------------------------------------------------------------------------------------ counting


def test_settled_tasks_are_counted_by_how_they_ended() -> None:
    tally = tally_of(3, *STORY, task(10, OccurrenceKind.TASK_CANCELLED, 1))
    assert (tally.succeeded, tally.failed, tally.cancelled, tally.settled) == (1, 1, 1, 3)


def test_an_attempt_that_is_over_frees_its_worker() -> None:
    tally = tally_of(3, *STORY[:5])
    assert list(tally.workers["Junior"].running) == [3]
    tally.note(task(4, OccurrenceKind.TASK_REQUEUED, 3))
    assert list(tally.workers["Junior"].running) == []


def test_a_task_that_is_added_later_counts() -> None:
    assert tally_of(3, task(2, OccurrenceKind.TASK_ADDED, 4)).tasks == 4


def test_the_rate_counts_from_the_beginning_of_the_assigning() -> None:
    assert tally_of(3, *STORY).rate(BEGAN + 11) == 0.2


def test_what_nobody_draws_is_not_kept_for_ever() -> None:
    tally = tally_of(1, *(task(1, OccurrenceKind.TASK_ADDED, 1) for _ in range(MAX_PENDING + 5)))
    assert (len(tally.pending), tally.dropped) == (MAX_PENDING, 5)


# ---------------------------------------------------------------------------------- plain lines


def test_each_occurrence_that_matters_is_a_line(
    lines_of: Callable[[RunTally, float], list[str]],
) -> None:
    assert lines_of(tally_of(3, *STORY), 9) == [
        "    0.5s  Junior joined (skill 3, 2 slots)",
        "    0.5s  Senior joined (skill 3, 2 slots)",
        "    1.0s  T3 -> Junior",
        "    1.0s  T2 -> Senior",
        "    6.0s  T2 done by Senior in 5.0 s",
        "    9.0s  T3 failed on Junior in 8.0 s: too difficult: skill 3 is below 8",
    ]


def test_a_lost_worker_is_told(lines_of: Callable[[RunTally, float], list[str]]) -> None:
    lost = Occurrence(BEGAN + 2, OccurrenceKind.WORKER_LOST, worker="Ada", facts="silent for 10 s")
    assert lines_of(tally_of(1, lost), 3) == ["    2.0s  Ada lost: silent for 10 s"]


def test_a_second_attempt_says_so(lines_of: Callable[[RunTally, float], list[str]]) -> None:
    again = Occurrence(BEGAN, OccurrenceKind.TASK_ASSIGNED, "a", 2, "Ada")
    assert lines_of(tally_of(1, again), 0) == ["    0.0s  a -> Ada (attempt 2)"]


def test_a_pause_and_a_draining_worker_are_shown(screen_of: Callable[..., list[str]]) -> None:
    tally = tally_of(
        3,
        *STORY[:5],
        Occurrence(BEGAN + 2, OccurrenceKind.RUN_PAUSED),
        Occurrence(BEGAN + 2, OccurrenceKind.WORKER_DRAINED, worker="Ada"),
    )
    shown = "\n".join(screen_of(tally, 3))
    assert "Paused: no tasks" in shown
    assert "Draining" in shown
    tally.note(Occurrence(BEGAN + 4, OccurrenceKind.RUN_UNPAUSED))
    tally.note(Occurrence(BEGAN + 4, OccurrenceKind.WORKER_RESUMED, worker="Ada"))
    shown = "\n".join(screen_of(tally, 5))
    assert "Paused" not in shown
    assert "Draining" not in shown


def test_many_tasks_are_summed_up_once_a_second(
    lines_of: Callable[[RunTally, float], list[str]],
) -> None:
    tally = tally_of(1_000, *STORY)
    stream = io.StringIO()
    display = PlainLines(stream)
    display.draw(tally, BEGAN + 11)
    tally.note(task(11, OccurrenceKind.TASK_COMPLETED, 4, "Senior"))
    display.draw(tally, BEGAN + 11.5)
    display.draw(tally, BEGAN + 12)
    assert stream.getvalue().splitlines()[2:] == [
        "   11.0s  2 of 1,000 settled, 1 failed, 0.2/s",
        "   12.0s  3 of 1,000 settled, 1 failed, 0.3/s",
    ]


def test_what_a_worker_says_stays_on_its_line(
    lines_of: Callable[[RunTally, float], list[str]],
) -> None:
    failed = task(2, OccurrenceKind.TASK_FAILED, 1, "Ada", "ValueError: a\n\x1b[2Jb" + "x" * 1_000)
    (line,) = lines_of(tally_of(1, failed), 3)
    assert line.startswith("    2.0s  T1 failed: ValueError: a \\x1b[2Jbxxx")
    assert len(line) < 250


# --------------------------------------------------------------------------------- live display


def test_the_screen_shows_bar_rate_and_workers(screen_of: Callable[..., list[str]]) -> None:
    screen = screen_of(tally_of(4, *STORY, task(9, OccurrenceKind.TASK_ASSIGNED, 1, "Junior")), 11)
    assert screen[0].startswith("━")
    assert screen[0].endswith("2 of 4 settled, 1 failed, 0.2/s  11.0 s")
    cells = [line.split() for line in screen[2:]]
    assert cells == [
        ["worker", "running", "done", "failed", "task"],
        ["Junior", "skill", "3", "1/2", "0", "1", "T1"],
        ["Senior", "skill", "3", "0/2", "1", "0"],
    ]


def test_while_workers_are_awaited_the_screen_says_how_many_came(
    screen_of: Callable[..., list[str]],
) -> None:
    assert "waiting for workers; 1 connected" in screen_of(tally_of(4, STORY[0]), 1)


def test_markup_in_a_name_is_only_text(screen_of: Callable[..., list[str]]) -> None:
    screen = screen_of(tally_of(4, joined(0, "[red]Ada[/red]")), 1)
    assert any(line.startswith("[red]Ada[/red]") for line in screen)


def test_more_workers_than_fit_are_counted(screen_of: Callable[..., list[str]]) -> None:
    screen = screen_of(tally_of(4, *(joined(0, f"W{number}") for number in range(25))), 1)
    assert screen[-1] == "… and 5 more workers"


def test_a_narrow_terminal_gets_no_broken_lines(screen_of: Callable[..., list[str]]) -> None:
    screen = screen_of(tally_of(4, *STORY), 11, width=60)
    assert max(map(len, screen)) <= 60


def test_the_live_display_is_gone_in_the_end() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    display = LiveDisplay(console)
    tally = tally_of(4, *STORY)
    display.draw(tally, BEGAN + 11)
    display.close(tally, BEGAN + 11)
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert written.endswith("\x1b[2K")
    assert "\x1b[?25h" in written


# ------------------------------------------------------------------- a run that goes on


def test_of_a_run_that_goes_on_the_rate_tells_only_what_is_done_now() -> None:
    before = {TaskStatus.COMPLETED: 60, TaskStatus.FAILED: 3, TaskStatus.CANCELLED: 1}
    tally = RunTally(100, BEGAN, before)
    tally.note(Occurrence(BEGAN, OccurrenceKind.RUN_RESUMED))
    assert tally.settled == 64
    assert tally.rate(BEGAN + 1) == 0.0
    for number in range(1, 11):
        tally.note(task(number, OccurrenceKind.TASK_COMPLETED, number, "Ada"))
    assert tally.rate(BEGAN + 5) == 2.0
    assert (tally.succeeded, tally.failed, tally.cancelled) == (70, 3, 1)


def test_a_run_that_had_not_begun_still_waits_for_its_workers() -> None:
    tally = RunTally(100, BEGAN)
    tally.note(Occurrence(BEGAN, OccurrenceKind.RUN_RESUMED))
    assert tally.assigning_since is None
