"""The comparison's own parts: its arithmetic, and rounds that end cleanly whatever a peer does."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from .comparison.competitors import COMPETITORS, PEERS_FOLDER, Competitor, why_left_out
from .comparison.rounds import Round, RoundOrder, figures_of, marked, play_round
from .comparison.table import render
from .comparison.verdict import (
    Spread,
    Standing,
    figures_in,
    spread_of,
    standing_of,
    summarize,
)

HERE = Path(__file__).parent
ORDER = RoundOrder(tasks=(20, 40), samples=4, payload_bytes=100, payloads=3, warm_up_s=0.0)
FIGURES = figures_in([1_000])
MANY, P50, *_ = FIGURES

PEER = f"""
import subprocess, sys, time
sys.path.insert(0, {str(PEERS_FOLDER)!r})
from peer import play

class Fake:
    async def start(self):
        print("what a library prints is no answer")
        # What outlives its parent, as ray's processes may, is in a session of its own.
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                         start_new_session=True)

    async def run_many(self, arguments):
        return [each["n"] for each in arguments]

    async def run_one(self, argument):
        return argument["n"]

    async def echo_many(self, payloads):
        return list(payloads)

    async def stop(self):
        pass

FAULT
play(Fake())
"""


@pytest.fixture
def competitor(tmp_path: Path) -> Competitor:
    return replace(COMPETITORS[0], name="fake", script=str(tmp_path / "fake_peer.py"))


def play(competitor: Competitor, fault: str = "", limit_s: float = 60.0) -> Round:
    competitor.path.write_text(PEER.replace("FAULT", fault))
    return play_round(competitor, 1, ORDER, python=sys.executable, limit_s=limit_s)


# ------------------------------------------------------------------------------- the arithmetic


def test_a_spread_is_the_median_between_the_lowest_and_the_highest() -> None:
    assert spread_of([3.0, 1.0, 10.0]) == Spread(median=3.0, lowest=1.0, highest=10.0)
    assert spread_of([1.0, 2.0]) == Spread(1.5, 1.0, 2.0)


def test_a_peers_answers_come_to_figures() -> None:
    assert figures_of({"first_result": True}, ORDER) == {}
    assert figures_of({"many": 20, "took_s": 0.01}, ORDER) == {"tasks_per_s_20": 2_000.0}
    assert figures_of({"one_s": [0.001, 0.003, 0.002]}, ORDER) == {"p50_ms": 2.0, "p99_ms": 3.0}
    order = replace(ORDER, payload_bytes=1_000_000, payloads=100)
    assert figures_of({"echo_s": 0.5}, order) == {"echo_mb_per_s": 200.0}


ROUNDS = [
    Round("muster", 1, {MANY.key: 20_000.0, P50.key: 1.0}),
    Round("dask", 1, {MANY.key: 500.0, P50.key: 10.0}),
    Round("ray", 1, {MANY.key: 2_000.0, P50.key: 1.5}),
    # The machine was twice as busy; what counts is the ratio.
    Round("muster", 2, {MANY.key: 10_000.0, P50.key: 3.0}),
    Round("dask", 2, {MANY.key: 250.0}),
    Round("ray", 2, {MANY.key: 1_000.0, P50.key: 1.5}),
    Round("muster", 3, {MANY.key: 16_000.0, P50.key: 1.0}),
    Round("dask", 3, {MANY.key: 2_000.0, P50.key: 10.0}),
    Round("ray", 3, {}, failure="was ended after 300 s"),
]


def test_ours_stands_against_the_best_peer_of_the_same_round() -> None:
    times = Spread(median=10.0, lowest=8.0, highest=10.0)
    assert standing_of("muster", {"dask", "ray"}, ROUNDS, MANY) == Standing("ray", times)


def test_where_less_is_better_twice_the_time_is_half_as_good() -> None:
    times = Spread(median=1.5, lowest=0.5, highest=10.0)
    assert standing_of("muster", {"dask", "ray"}, ROUNDS, P50) == Standing("ray", times)


def test_without_a_peer_there_is_no_ratio() -> None:
    assert standing_of("muster", {"celery"}, ROUNDS, MANY) is None
    assert standing_of("celery", {"ray"}, ROUNDS, MANY) is None


def test_a_summary_has_what_was_measured_and_no_more() -> None:
    assert summarize(ROUNDS[4:], FIGURES) == {
        "dask": {MANY.key: Spread(1_125.0, 250.0, 2_000.0), P50.key: Spread(10.0, 10.0, 10.0)},
        "ray": {MANY.key: Spread(1_000.0, 1_000.0, 1_000.0), P50.key: Spread(1.5, 1.5, 1.5)},
        "muster": {MANY.key: Spread(16_000.0, 16_000.0, 16_000.0), P50.key: Spread(1.0, 1.0, 1.0)},
    }


def test_the_table_shows_medians_with_their_spread_and_how_ours_stand() -> None:
    standing = standing_of("muster", {"dask", "ray"}, ROUNDS, MANY)
    table = render(FIGURES[:2], summarize(ROUNDS, FIGURES), {"muster": {MANY.key: standing}})
    rows = [" ".join(line.split()) for line in table.splitlines()]
    assert "muster 16,000 (10,000 to 20,000) 1 (1 to 3)" in rows
    assert "dask 500 (250 to 2,000) 10" in rows
    assert "ray 1,500 (1,000 to 2,000) 1.5" in rows
    assert rows[-2:] == ["muster: 10 (8 to 10) -", "times the best peer ray"]


# ------------------------------------------------------------------------------------ who plays


def test_every_competitor_has_its_script_and_says_how_to_install_it() -> None:
    assert [each.name for each in COMPETITORS if not each.path.is_file()] == []
    assert all(each.install for each in COMPETITORS)
    assert len({each.name for each in COMPETITORS}) == len(COMPETITORS)


def test_a_peer_that_is_not_installed_is_left_out_with_the_reason(competitor: Competitor) -> None:
    assert why_left_out(competitor, sys.executable) is None
    missing = replace(competitor, modules=("json", "no_such_peer"))
    assert why_left_out(missing, sys.executable) == f"{sys.executable} has no json and no_such_peer"
    assert why_left_out(competitor, "/no/such/python") == (
        "'/no/such/python' can't be run: No such file or directory"
    )


@pytest.mark.processes
def test_the_command_names_who_is_left_out_and_how_to_have_it() -> None:
    command = [sys.executable, str(HERE / "compare.py"), "--only", "dask"]
    done = subprocess.run(
        [*command, "--peer-python", "dask=/no/such/python"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        (
            "dask is left out: '/no/such/python' can't be run: No such file or directory; "
            "to have it: pip install 'ceylon-muster[peers]'"
        ),
        "nobody is left to be compared",
    ]


# ----------------------------------------------------------------------------------- the rounds


@pytest.mark.processes
def test_a_round_takes_all_figures_and_leaves_no_process_behind(
    competitor: Competitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: "a-mark-of-this-test")
    played = play(competitor)
    assert played.failure == ""
    assert played.figures.keys() == {
        *("cold_start_s", "tasks_per_s_20", "tasks_per_s_40"),
        *("p50_ms", "p99_ms", "echo_mb_per_s"),
    }
    assert list(marked("a-mark-of-this-test")) == []


@pytest.mark.slow
@pytest.mark.processes
def test_a_peer_that_hangs_is_ended_at_the_limit_with_what_it_told_before(
    competitor: Competitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: "another-mark-of-this-test")
    hangs = "Fake.run_many = lambda self, arguments: time.sleep(600)"
    played = play(competitor, hangs, limit_s=2.0)
    assert played.failure.startswith("was ended after 2 s")
    assert played.figures.keys() == {"cold_start_s"}
    assert list(marked("another-mark-of-this-test")) == []


@pytest.mark.processes
def test_a_peer_that_answers_wrongly_has_failed(competitor: Competitor) -> None:
    wrong = "Fake.run_many = lambda self, arguments: wrongly()\nasync def wrongly(): return []"
    played = play(competitor, wrong)
    assert played.failure.startswith("ended with code 1: ")
    assert played.failure.endswith("some tasks came back with the results of others")


@pytest.mark.processes
def test_a_peer_that_can_not_start_has_failed_with_its_last_words(competitor: Competitor) -> None:
    played = play(competitor, "raise SystemExit('no room for workers')")
    assert (played.figures, played.failure) == ({}, "ended with code 1: no room for workers")


# ----------------------------------------------------------------------------------- the picture


@pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="matplotlib is in the extra peers alone"
)
@pytest.mark.filterwarnings("default")
def test_a_picture_has_a_panel_for_each_figure_that_was_taken(tmp_path: Path) -> None:
    from .comparison.plot import draw

    path = tmp_path / "comparison.svg"
    draw(path, FIGURES, summarize(ROUNDS, FIGURES), ["muster"], ("measured here",))
    drawn = path.read_text()
    titles = [figure.title for figure in FIGURES if f"<!-- {figure.title}, " in drawn]
    assert titles == [MANY.title, P50.title]
    assert all(f"<!-- {name} -->" in drawn for name in ("muster", "dask", "ray", "16,000"))
