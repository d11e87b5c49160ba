"""From a fresh process to its first result, from two worker processes that it starts itself.

python tests/benchmarks/cold_start.py --runs 7

Each line is the median of how long after its start a process had done a step: its interpreter was
up, Muster was imported, the workers' processes were started, its own agent was up, all workers had
loaded what they need, all had joined, and the first result of a task that costs nothing was there.
CPU seconds say more than these on a machine that has other work. Python may keep what it compiles,
as it does of an installed package, whatever PYTHONDONTWRITEBYTECODE says.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
LONGEST_RUN_S = 300.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    # The first fills the caches of the disk.
    measure(options.workers)
    runs = [measure(options.workers) for _ in range(options.runs)]
    medians = {step: statistics.median(run[step] for run in runs) for step in runs[0]}
    if options.json:
        sys.stdout.write(json.dumps({"median": medians, "runs": runs}, indent=1) + "\n")
        return
    for step, median in medians.items():
        values = [run[step] for run in runs]
        spread = f"{min(values):.3f} to {max(values):.3f}"
        sys.stdout.write(f"{step:<24} {median:9.3f}   ({spread})\n")


def measure(workers: int) -> dict[str, float]:
    """Start the program once; how far it got when, and what it and its workers took."""
    before = os.times()
    program = [sys.executable, "cold_start_program.py", str(time.time()), str(workers)]
    environment = {key: os.environ[key] for key in os.environ if key != "PYTHONDONTWRITEBYTECODE"}
    ran = subprocess.run(
        program,
        cwd=HERE,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=LONGEST_RUN_S,
        check=True,
    )
    after = os.times()
    took_s = sum(after[2:4]) - sum(before[2:4])
    return {**json.loads(ran.stdout), "all processes, CPU s": round(took_s, 4)}


if __name__ == "__main__":
    main()
