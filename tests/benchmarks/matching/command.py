"""How well matching does: a table with 95 % intervals, JSON and plots.

    python tests/benchmarks/matching [--seeds 1000-1019] [--only ROW ...] [--policy NAME ...]

Real managers and workers in virtual time, with skills that nobody declares truly and luck that is
the same for every policy. It takes some minutes; `--quick` only checks that it runs.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from muster.agents.kernel.matching.policy_names import POLICIES
from muster.agents.simulation.estimate import Estimate

from .decision_row import DECISION_ROWS
from .generated_rows import GENERATED_ROWS
from .plots import draw_plots
from .real_rows import OUTCOMES_FILE, REAL_ROWS
from .row import Job, Outcome, Row
from .table import Verdict, render_row, render_verdict, verdicts_of

ROWS: dict[str, Row] = {row.name: row for row in (*GENERATED_ROWS, *REAL_ROWS, *DECISION_ROWS)}
DATA = Path(__file__).resolve().parent / "data"


def read_seeds(text: str) -> list[int]:
    """The seeds of a text such as `1000-1019` or `1,5,7`."""
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return seeds


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", default="1000-1019", help="such as 1000-1019 or 1,5,7")
    parser.add_argument("--only", nargs="+", choices=ROWS, metavar="ROW", help=", ".join(ROWS))
    parser.add_argument(
        "--policy",
        nargs="+",
        metavar="NAME",
        help="the policies that are measured: a name, or MODULE:ATTRIBUTE, which is called for "
        "each run; by default adaptive",
    )
    parser.add_argument("--alone", action="store_true", help="leave out what it is compared with")
    parser.add_argument("--processes", type=int, default=1, help="how many share the work")
    parser.add_argument("--data", type=Path, default=DATA, help="the folder with real outcomes")
    parser.add_argument("--json", metavar="FILE", help="write the figures; - prints them alone")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw SVG pictures here")
    parser.add_argument("--quick", action="store_true", help="see that it runs")
    options = parser.parse_args(arguments)
    if not (options.data / OUTCOMES_FILE).is_file():
        parser.error(f"{options.data} has no {OUTCOMES_FILE}; name the folder with --data")
    measured = options.policy or [name for name in ("adaptive",) if name in POLICIES]
    seeds = read_seeds(options.seeds)[: 2 if options.quick else None]
    told: dict[str, Any] = {"seeds": seeds, "measured": measured, "rows": {}}
    curves: dict[str, dict[str, list[dict[str, list[Any]]]]] = {}
    verdicts: list[Verdict] = []
    for name in options.only or ROWS:
        row = ROWS[name]
        began = time.perf_counter()
        others = () if options.alone else row.policies
        policies = tuple(dict.fromkeys((*others, *measured)))
        jobs = [
            Job(name, seed, policies, options.quick, options.data) for seed in seeds[: row.seeds]
        ]
        estimates, curves[name] = combine(row, run_jobs(jobs, options.processes))
        told["rows"][name] = {
            "title": row.title,
            "took_s": round(time.perf_counter() - began, 1),
            "figures": {
                policy: {key: asdict(each) for key, each in figures.items()}
                for policy, figures in estimates.items()
            },
            "targets": {
                figure.key: {"target": figure.target, "at_most": figure.at_most}
                for figure in row.figures
                if figure.target is not None
            },
        }
        verdicts += verdicts_of(row, estimates, measured)
        if options.json != "-":
            sys.stdout.write(render_row(row, estimates, measured) + "\n")
            sys.stdout.flush()
    if options.json != "-":
        sys.stdout.write(render_verdict(verdicts) + "\n")
    if options.plots is not None:
        draw_plots(curves, options.plots)
    text = json.dumps(told, indent=1)
    if options.json == "-":
        sys.stdout.write(text + "\n")
    elif options.json:
        Path(options.json).write_text(text + "\n", encoding="utf-8")
    return 0


def run_jobs(jobs: Sequence[Job], processes: int) -> Iterator[Outcome]:
    """Run the jobs, in their order."""
    if processes == 1 or len(jobs) == 1:
        yield from map(run_job, jobs)
        return
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"))
    try:
        yield from pool.map(run_job, jobs)
    finally:
        pool.shutdown(cancel_futures=True)


def run_job(job: Job) -> Outcome:
    """Run one job in this process."""
    logging.disable(logging.ERROR)
    return ROWS[job.row].play(job)


def combine(
    row: Row, outcomes: Iterable[Outcome]
) -> tuple[dict[str, dict[str, Estimate]], dict[str, list[dict[str, list[Any]]]]]:
    """The estimates of all figures by policy and key, and the curves of all seeds by policy."""
    values: dict[str, dict[str, list[float]]] = {}
    curves: dict[str, list[dict[str, list[Any]]]] = {}
    for outcome in outcomes:
        for policy, figures in outcome.figures.items():
            for key, value in figures.items():
                values.setdefault(policy, {}).setdefault(key, []).append(value)
        for policy, each in outcome.curves.items():
            curves.setdefault(policy, []).append(each)
    estimates = {
        policy: {key: Estimate.of(each) for key, each in by_key.items()}
        for policy, by_key in values.items()
    }
    if row.pool is not None:
        for policy, by_key in estimates.items():
            means = {key: each.mean for key, each in by_key.items()}
            pooled = row.pool(means, curves.get(policy, []))
            by_key.update({key: Estimate.of([value]) for key, value in pooled.items()})
    return estimates, curves
