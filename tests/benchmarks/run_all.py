"""Runs every benchmark, one after the other, and writes what they told into one JSON.

    python tests/benchmarks/run_all.py --json figures.json [--only NAME ...] [--quick]

It takes half an hour; `--quick` takes small numbers, whose figures mean nothing, to see that all
of them run. The exit code is 1 if one failed; the others are run all the same.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sigterm import heed_sigterm

HERE = Path(__file__).parent
BENCH = ("-m", "muster.agents.command", "bench", "--json")
ENDING_MAY_TAKE_S = 20.0


@dataclass(frozen=True)
class Benchmark:
    """One of them.

    Args:
        name: what it is called.
        command: what stands behind `python`; a name that ends in .py is of this folder. It prints
            JSON.
        quick: what stands behind that if it is to be quick.
    """

    name: str
    command: tuple[str, ...]
    quick: tuple[str, ...] = ()

    def arguments(self, *, quick: bool) -> list[str]:
        first, *rest = (*self.command, *(self.quick if quick else ()))
        return [str(HERE / first) if first.endswith(".py") else first, *rest]


BENCHMARKS = (
    Benchmark("bench", BENCH, ("--tasks", "500", "--payload", "1kB")),
    Benchmark(
        "bench with a store",
        (*BENCH, "--store", "run.db"),
        ("--tasks", "500", "--payload", "1kB"),
    ),
    Benchmark("board throughput", ("board_throughput.py", "--json"), ("--tasks", "2000")),
    Benchmark("model outcomes", ("model_outcomes.py", "--json"), ("--questions", "40")),
    Benchmark("board matching", ("board_matching.py", "--json"), ("--tasks", "500")),
    Benchmark(
        "matching",
        ("matching/__main__.py", "--json", "-", "--processes", "2"),
        # Each kind of row is played by a test.
        ("--quick", "--only", "streaming"),
    ),
    Benchmark("million tasks", ("million_tasks.py", "--json"), ("--tasks", "2000")),
    Benchmark("idle manager", ("idle_manager.py", "--json"), ("--workers", "2", "--seconds", "1")),
    Benchmark("local throughput", ("local_throughput.py", "--json"), ("--tasks", "1000")),
    Benchmark(
        "compare",
        ("compare.py", "--json", "-", "--tasks", "10000", "100000", "--time-limit", "600"),
        (
            "--only",
            "muster",
            "--rounds",
            "1",
            "--tasks",
            "500",
            "--samples",
            "20",
            "--payloads",
            "0",
        ),
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    heed_sigterm()
    names = [each.name for each in BENCHMARKS]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    parser.add_argument("--only", nargs="+", choices=names, help="run these alone")
    parser.add_argument("--quick", action="store_true", help="see that all run")
    parser.add_argument("--time-limit", type=float, default=3_600.0, metavar="SECONDS", help="each")
    options = parser.parse_args(arguments)
    told: dict[str, Any] = {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "python": platform.python_version(),
        "began_at": datetime.now(tz=timezone.utc).isoformat("T", "seconds"),
        "benchmarks": {},
    }
    for benchmark in BENCHMARKS:
        if options.only and benchmark.name not in options.only:
            continue
        command = [sys.executable, *benchmark.arguments(quick=options.quick)]
        sys.stderr.write(f"== {benchmark.name}\n")
        told["benchmarks"][benchmark.name] = run(command, options.time_limit)
        if options.json:
            # After each, so that what was measured stays if a later one is interrupted.
            options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if not options.json:
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
    return 1 if any("failure" in each for each in told["benchmarks"].values()) else 0


def run(command: Sequence[str], limit_s: float) -> dict[str, Any]:
    """Run a benchmark in an empty folder; what it told, and what went wrong if something did."""
    began = time.perf_counter()
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        try:
            out, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            told["failure"] = f"was ended after {limit_s:g} s"
            # It ends what it has started.
            process.terminate()
            try:
                out, _ = process.communicate(timeout=ENDING_MAY_TAKE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                out, _ = process.communicate()
        except BaseException:
            process.terminate()
            process.communicate()
            raise
    told["took_s"] = round(time.perf_counter() - began, 1)
    if process.returncode and "failure" not in told:
        told["failure"] = f"ended with code {process.returncode}"
    try:
        told["figures"] = json.loads(out)
    except ValueError:
        told.setdefault("failure", f"told no JSON, but {out[:200]!r}")
    return told


if __name__ == "__main__":
    sys.exit(main())
