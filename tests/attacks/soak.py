"""A run that goes on for long: steady work, worker processes that come and go, an open page.

    python tests/attacks/soak.py [--minutes 20] [--rate 40] [--json FILE]

A process of workers is ended and started again every ten seconds, in turns killed and asked to go.
Each minute a line tells the manager's descriptors, memory, processor time, lanes, and tasks. In the
end the verdict: descriptors and memory must not have grown, and no task may have failed. The exit
code is 0 if so, else 1.
"""

from __future__ import annotations

import argparse
import http.client
import json
import signal
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import Any

from target import LOOPBACK, Figures, Target, target, wait_until

RESTARTED_EVERY_S = 10.0
LINE_EVERY_S = 60.0
STEADY_AGENTS = 4
RESTARTED_AGENTS = 4

MORE_DESCRIPTORS = 8
"""By how many descriptors the last third of the time may be above the first: those of one lane."""

MORE_MEMORY = 0.05
"""By what part of itself the memory may grow in the second half of the time."""

COLUMNS = ("minute", "tasks/s", "done", "failed", "workers", "descriptors", "rss_mb", "cpu")
MORE_COLUMNS = ("threads", "lanes", "page_events")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=40.0, help="tasks a second")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    told = soak(options.minutes, options.rate)
    if options.json is not None:
        options.json.write_text(json.dumps(told, indent=1))
    return 0 if told["verdict"] == "flat" else 1


def soak(minutes: float, rate: float) -> Figures:
    """Go on for so long; tell a line for each minute, and the verdict."""
    say("  ".join(f"{column:>11}" for column in (*COLUMNS, *MORE_COLUMNS)))
    lines: list[Figures] = []
    with target(rate=rate) as manager:
        manager.work(STEADY_AGENTS)
        restarting = Restarting(manager)
        with Page(manager.ports["page"]) as page, restarting:
            began_at = time.monotonic()
            first = len(manager.figures) - 1
            while (passed_s := time.monotonic() - began_at) < minutes * 60:
                time.sleep(min(LINE_EVERY_S, minutes * 60 - passed_s))
                if manager.process.poll() is not None:
                    break
                line = sum_up(manager.figures[first:])
                line["minute"] = round((time.monotonic() - began_at) / 60, 1)
                line["page_events"] = page.events
                first = len(manager.figures) - 1
                lines.append(line)
                say("  ".join(f"{line[column]!s:>11}" for column in (*COLUMNS, *MORE_COLUMNS)))
        faults = find_faults(manager, lines)
        if page.events == 0 or page.reopened > 0:
            faults.append(f"the page had {page.events} events and was opened anew {page.reopened}x")
        told: Figures = {
            "lines": lines,
            "restarts": restarting.restarts,
            "page_events": page.events,
            "page_reopened": page.reopened,
            "log_bytes": manager.log_bytes,
            "log": (manager.folder / "manager.log").read_text("utf-8", "replace")[-4_000:],
            "faults": faults,
            "verdict": "not flat" if faults else "flat",
        }
    say(f"{restarting.restarts} restarts, {told['log_bytes']} bytes of log")
    for fault in faults:
        say(f"  {fault}")
    if faults and told["log"]:
        say(told["log"])
    say(f"verdict: {told['verdict']}")
    return told


def sum_up(figures: list[dict[str, Any]]) -> Figures:
    """One line of what was told in a minute."""
    first, last = figures[0], figures[-1]
    took_s = max(last["at"] - first["at"], 0.001)
    return {
        "tasks/s": round((last["done"] - first["done"]) / took_s, 1),
        "done": last["done"],
        "failed": last["failed"],
        "workers": last["workers"],
        "descriptors": max(each["descriptors"] for each in figures),
        "rss_mb": last["rss_mb"],
        "cpu": round((last["cpu_s"] - first["cpu_s"]) / took_s, 3),
        "threads": last["threads"],
        "lanes": last["lanes"],
    }


def find_faults(manager: Target, lines: list[Figures]) -> list[str]:
    """What speaks against it."""
    if manager.process.poll() is not None:
        return [f"the manager has ended, with code {manager.process.returncode}"]
    faults: list[str] = []
    figures = manager.figures
    # What it was before all workers had come once is no measure.
    third = len(figures) // 3
    early, late = figures[third // 2 : third], figures[-third:]
    before, after = (
        statistics.median(each["descriptors"] for each in part) for part in (early, late)
    )
    if after > before + MORE_DESCRIPTORS:
        faults.append(f"descriptors grew from {before:g} to {after:g}")
    half = figures[len(figures) // 2 :]
    memory_mb = statistics.median(each["rss_mb"] for each in half)
    # A line through it: single figures rise and fall with the connections that Ceylon still has.
    slope = statistics.linear_regression(
        [each["at"] for each in half], [each["rss_mb"] for each in half]
    ).slope
    grown_mb = slope * (half[-1]["at"] - half[0]["at"])
    say(
        f"in the second half memory {grown_mb:+.1f} MB of {memory_mb:g}, that is {60 * slope:+.2f} "
        f"MB a minute; descriptors at first {before:g}, at last {after:g}"
    )
    if grown_mb > MORE_MEMORY * memory_mb:
        faults.append(f"memory grows by {60 * slope:.2f} MB a minute")
    if manager.last["failed"]:
        faults.append(f"{manager.last['failed']} tasks failed")
    stalled = [line["minute"] for line in lines if line["tasks/s"] == 0]
    if stalled:
        faults.append(f"no task was done in minutes {stalled}")
    return faults


class Restarting:
    """Ends a process of workers and starts it again, as long as it is entered.

    Args:
        manager: theirs.
    """

    def __init__(self, manager: Target) -> None:
        self._manager = manager
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.restarts = 0

    def __enter__(self) -> Restarting:
        self._manager.start_workers("restarted", RESTARTED_AGENTS)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(RESTARTED_EVERY_S):
            how = (signal.SIGKILL, signal.SIGTERM)[self.restarts % 2]
            self._manager.end_workers("restarted", how)
            self._manager.start_workers("restarted", RESTARTED_AGENTS)
            self.restarts += 1


class Page:
    """An open page: reads the manager's feed as long as it is entered.

    Args:
        port: of the live page.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.events = 0
        self.reopened = -1

    def __enter__(self) -> Page:
        self._thread.start()
        wait_until(lambda: self.events > 0, "the page is told something")
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._over.is_set():
            self.reopened += 1
            try:
                self._read()
            except (OSError, http.client.HTTPException):
                time.sleep(0.5)

    def _read(self) -> None:
        web = http.client.HTTPConnection(LOOPBACK, self._port, timeout=20)
        try:
            web.request("GET", "/api/events")
            answer = web.getresponse()
            while not self._over.is_set():
                line = answer.readline()
                if not line:
                    return
                self.events += line.startswith(b"event:")
        finally:
            web.close()


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
