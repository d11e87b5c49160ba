"""Muster and its peers at the same work in the same run: a table, JSON and a picture.

    python tests/benchmarks/compare.py [--tasks 10000 100000] [--json FILE] [--plot FILE.svg]

Each has two worker processes on loopback, and each round starts it anew in a process of its own.
The rounds of all competitors alternate, and a ratio is one of the same round: what slows the
machine down slows both. A peer that is not installed is named, with how to install it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from comparison.competitors import COMPETITORS, Competitor, why_left_out
from comparison.plot import ENDINGS, draw
from comparison.rounds import Round, RoundOrder, play_round
from comparison.table import render
from comparison.verdict import Figure, Spread, Standing, figures_in, standing_of, summarize
from muster.agents.bench.sizes import read_size, show_size
from sigterm import heed_sigterm


@dataclass(frozen=True)
class Comparison:
    """All that a run of this command came to."""

    order: RoundOrder
    left_out: dict[str, str]
    rounds: list[Round]
    began_at: str

    @property
    def figures(self) -> tuple[Figure, ...]:
        return figures_in(self.order.tasks)

    @property
    def summary(self) -> dict[str, dict[str, Spread]]:
        return summarize(self.rounds, self.figures)

    @property
    def ours(self) -> list[str]:
        played = {each.competitor for each in self.rounds}
        return [each.name for each in COMPETITORS if each.is_ours and each.name in played]

    @property
    def standings(self) -> dict[str, dict[str, Standing | None]]:
        peers = {each.name for each in COMPETITORS if not each.is_ours}
        return {
            name: {
                figure.key: standing_of(name, peers, self.rounds, figure) for figure in self.figures
            }
            for name in self.ours
        }

    def as_json(self) -> dict[str, object]:
        return {
            "machine": machine(),
            "began_at": self.began_at,
            "order": asdict(self.order),
            "left_out": self.left_out,
            "summary": {
                name: {key: spread._asdict() for key, spread in taken.items()}
                for name, taken in self.summary.items()
            },
            "times_the_best_peer": {
                name: {
                    key: {"best_peer": standing.best_peer, **standing.times._asdict()}
                    for key, standing in by_figure.items()
                    if standing is not None
                }
                for name, by_figure in self.standings.items()
            },
            "rounds": [asdict(each) for each in self.rounds],
        }


def machine() -> str:
    """On what it was measured, in a few words."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"


def main(arguments: Sequence[str] | None = None) -> int:
    heed_sigterm()
    options = read_options(arguments)
    order = RoundOrder(
        tasks=tuple(options.tasks),
        samples=options.samples,
        payload_bytes=read_size(options.payload),
        payloads=options.payloads,
    )
    competitors = [each for each in COMPETITORS if not options.only or each.name in options.only]
    pythons = {each.name: python_of(each, options.peer_python) for each in competitors}
    left_out: dict[str, str] = {}
    for each in competitors:
        why = why_left_out(each, pythons[each.name])
        if why is not None:
            left_out[each.name] = f"{why}; to have it: {each.install}"
            say(f"{each.name} is left out: {left_out[each.name]}")
    if len(left_out) == len(competitors):
        say("nobody is left to be compared")
        return 2
    comparison = Comparison(
        order, left_out, [], datetime.now(tz=timezone.utc).isoformat("T", "seconds")
    )
    for number in range(1, options.rounds + 1):
        for each in competitors:
            if each.name in left_out:
                continue
            played = play_round(
                each, number, order, python=pythons[each.name], limit_s=options.time_limit
            )
            comparison.rounds.append(played)
            told = ", ".join(f"{key} {value:,}" for key, value in played.figures.items())
            say(f"round {number} of {options.rounds}, {each.name}: {told}")
            if played.failure:
                say(f"  it failed: {played.failure}")
            # After each, so that what was measured stays if a later one is interrupted.
            write_json(comparison, options.json)
    finish(comparison, options)
    return 1 if any(each.failure for each in comparison.rounds) else 0


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = [each.name for each in COMPETITORS]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=positive, nargs="+", default=[10_000], metavar="COUNT")
    parser.add_argument("--rounds", type=positive, default=3, help="3 by default")
    parser.add_argument("--samples", type=positive, default=500, help="of one task at a time")
    parser.add_argument("--payload", default="1MB", metavar="SIZE", help="1MB by default")
    parser.add_argument("--payloads", type=int, default=100, help="how many are echoed; 0 for none")
    parser.add_argument("--only", nargs="+", choices=names, help="compare these alone")
    parser.add_argument(
        "--peer-python",
        action="append",
        default=[],
        metavar="[NAME=]PATH",
        help="the Python that has the peers, or this peer",
    )
    parser.add_argument(
        "--time-limit", type=positive, default=300, metavar="SECONDS", help="for one's round; 300"
    )
    parser.add_argument("--json", metavar="FILE", help="write all figures here; - is stdout")
    parser.add_argument("--plot", type=picture, metavar="FILE", help="draw it: .svg, .png or .pdf")
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def picture(text: str) -> Path:
    if not text.endswith(ENDINGS):
        raise argparse.ArgumentTypeError(f"{text} must end with one of {', '.join(ENDINGS)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise argparse.ArgumentTypeError(
            "to draw needs matplotlib; run: pip install 'ceylon-muster[peers]'"
        )
    return Path(text)


def python_of(competitor: Competitor, given: Sequence[str]) -> str:
    """The Python that runs a competitor; ours run where this does."""
    if competitor.is_ours:
        return sys.executable
    chosen = sys.executable
    for each in given:
        name, equals, path = each.rpartition("=")
        if not equals or name == competitor.name:
            chosen = path
    return chosen


def write_json(comparison: Comparison, file: str | None) -> None:
    """Write what there is so far, unless it goes to stdout at the end."""
    if file and file != "-":
        told = json.dumps(comparison.as_json(), indent=1)
        Path(file).write_text(f"{told}\n", encoding="utf-8")


def finish(comparison: Comparison, options: argparse.Namespace) -> None:
    if options.json == "-":
        told = json.dumps(comparison.as_json(), indent=1)
    else:
        told = render(comparison.figures, comparison.summary, comparison.standings)
    sys.stdout.write(f"{told}\n")
    if options.plot:
        size = show_size(comparison.order.payload_bytes)
        note = (
            (
                f"{machine()}, {comparison.began_at[:10]}. Median, lowest and highest of "
                f"{options.rounds} alternating rounds, two worker processes each; log scales."
            ),
            f"Payloads of {size}. At a cold start the Redis of those who need one runs already.",
        )
        draw(options.plot, comparison.figures, comparison.summary, comparison.ours, note)


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
