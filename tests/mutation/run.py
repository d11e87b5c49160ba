"""Plants small faults, one at a time, and sees whether the tests notice.

A mutant is one change of the product: a comparison turned, a constant off by one, a statement
removed. Mutants are drawn at random and tried in a copy of the tree; the tests that run the
changed line are run, the most likely ones first, until one fails. What none of them notices is
printed as a diff: a hole in the tests, or a change that makes no difference.

    python tests/mutation/run.py --count 200 --seed 7
    python tests/mutation/run.py --again

The first run measures which test runs which line, which takes as long as the whole suite. The
measurement and the results are kept in the working folder: a run that was broken off goes on where
it was if it has the same seed, and `--again` tries what survived against tests that were written
since. Start with an empty working folder when much of the product has changed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

import ceylon  # noqa: F401  # Libraries that each fork would load anew.
import cryptography.hazmat.primitives.ciphers.aead  # noqa: F401
import msgpack  # noqa: F401
import pydantic  # noqa: F401
import pytest
import zstandard  # noqa: F401
from coverage import CoverageData
from covering_tests import DATA_NAME, FIGURES_NAME
from mutants import Mutant, find_mutants

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("agents", "messages", "scenarios")
DEFAULT_FILES = ("agents/kernel/**/*.py", "messages/**/*.py", "agents/**/*shell*.py")
# Tests that wait for real processes and networks fail now and then on a busy machine, and would
# seem to notice what they do not.
DEFAULT_MARKERS = "not slow and not exhaustive and not browser and not processes and not ceylon"
DEFAULT_WORK = Path(tempfile.gettempdir()) / "muster-mutation"
_UNUSED_PLUGINS = ("cacheprovider", "cov", "pytest_cov", "xdist", "xdist.looponfail", "anyio")

LIKELY_S = 4.0
"""How many seconds of the likeliest tests are tried before pytest collects the others."""

START_S = 30.0
"""How long pytest may take to start, on a busy machine."""


class Copy:
    """A copy of the tree in which mutants are planted; the tree itself is only read.

    Args:
        folder: where it is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._paths = folder / "import_paths"

    def make(self) -> None:
        """Copy what git knows of, and what it does not know but would take, as it stands."""
        if self.folder.exists():
            shutil.rmtree(self.folder)
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, check=True, capture_output=True, text=True,
        )  # fmt: skip
        for name in filter(None, listing.stdout.split("\0")):
            if (ROOT / name).is_file():
                target = self.folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, target)
        (self._paths / "muster").mkdir(parents=True)
        for package in PACKAGES:
            (self._paths / "muster" / package).symlink_to(self.folder / package)

    def run(
        self, arguments: Sequence[str], limit_s: float | None = None, output: IO[str] | None = None
    ) -> int | None:
        """Run Python in the copy; its exit code, or None if it took too long."""
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self._paths)},
            stdout=output or subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end_group(process.pid)
            process.wait()

    def run_tests(self, listing: Path, limit_s: float) -> int | None:
        """Run the tests that a file lists until one fails; as `run`, but sooner begun.

        The process is a fork of this one, which has loaded the libraries and nothing of ours.
        """
        pid = os.fork()
        if pid:
            return _wait(pid, limit_s)
        code = 1
        try:
            os.setsid()
            os.chdir(self.folder)
            os.environ["PYTHONPATH"] = str(self._paths)
            sys.path[:] = [str(self._paths), str(self.folder), *sys.path[1:]]
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(nowhere, stream)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            options = ["-x", "-q", "-m", "", *(f"-pno:{name}" for name in _UNUSED_PLUGINS)]
            code = int(pytest.main([*options, f"@{listing}"]))
        finally:
            # Threads that a test left behind must not keep it.
            os._exit(code)

    def plant(self, mutant: Mutant, source: bytes) -> None:
        """Write a mutant into the copy."""
        self._write(mutant.path, mutant.apply(source))

    def restore(self, path: str, source: bytes) -> None:
        """Write a file as it was."""
        self._write(path, source)

    def _write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.write_bytes(content)
        # The compiled file knows its source by size and second; both may be the same.
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink()

    def check(self, work: Path) -> None:
        """See that a fault in the copy is noticed, and that without one its tests pass.

        Raises:
            SystemExit: `muster` is not imported from the copy.
        """
        listing = work / "selected_tests.txt"
        listing.write_text("tests/messages/test_wording.py")
        path, fault = "messages/__init__.py", b"raise ImportError\n"
        source = (self.folder / path).read_bytes()
        is_sound = self.run_tests(listing, 10 * START_S) == 0
        self._write(path, fault)
        is_noticed = self.run_tests(listing, 10 * START_S) != 0
        self._write(path, source)
        if not (is_sound and is_noticed):
            sys.exit("`muster` is not imported from the copy; no fault there would be noticed")


def _wait(pid: int, limit_s: float) -> int | None:
    """Wait for a process that is the first of a group; its exit code, or None if it is too slow."""
    ends_at = time.monotonic() + limit_s
    ended, status = 0, 0
    while not ended and time.monotonic() < ends_at:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended:
            time.sleep(0.02)
    _end_group(pid)
    if not ended:
        os.waitpid(pid, 0)
        return None
    return os.waitstatus_to_exitcode(status)


def _end_group(pid: int) -> None:
    """End a process and what its tests started and a mutant kept them from ending."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


@dataclass(frozen=True)
class Selection:
    """The tests for one mutant.

    Args:
        stages: pytest's arguments, a list for each of its runs.
        seconds: how long all of them took when they were measured.
        left_out: how many tests were left out since the rest takes too long.
    """

    stages: list[list[str]]
    seconds: float
    left_out: int


class CoveringTests:
    """Which tests run a line, and in which order they are worth trying.

    Args:
        folder: where the measurement is kept.
        copy: the copy that is measured, and in which new tests are found.
        markers: which tests count, as pytest's `-m`.
        limit_s: how many seconds of tests one mutant is worth.
    """

    def __init__(self, folder: Path, copy: Copy, markers: str, limit_s: float) -> None:
        self._limit_s = limit_s
        self._folder = folder
        self._copy = copy
        self._markers = markers

    def measure(self) -> None:
        """Run the whole suite once, unless that was done before."""
        if not (self._folder / FIGURES_NAME).exists():
            print("measuring which test runs which line ...", flush=True)
            script = "tests/mutation/covering_tests.py"
            self._copy.run([script, str(self._folder), "-q", "-p", "no:cov", "-m", self._markers])

    @cached_property
    def _all_tests(self) -> set[str]:
        """The tests that there are now; those that are named for a mutant must exist."""
        with tempfile.TemporaryFile("w+") as listing:
            self._copy.run(
                ["-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-p", "no:cov",
                 "-m", self._markers],
                output=listing,
            )  # fmt: skip
            listing.seek(0)
            return {line for line in listing.read().splitlines() if line.startswith("tests/")}

    @cached_property
    def _new_tests(self) -> list[str]:
        # Without their parameters, since some are drawn at random.
        known = {_function_of(each) for each in self._figures[0]}
        return sorted({_function_of(each) for each in self._all_tests} - known)

    @cached_property
    def _figures(self) -> tuple[dict[str, float], set[str]]:
        kept = json.loads((self._folder / FIGURES_NAME).read_text())
        return kept["seconds"], set(kept["failed"])

    @cached_property
    def _data(self) -> CoverageData:
        data = CoverageData(str(self._folder / DATA_NAME))
        data.read()
        return data

    @cached_property
    def _measured_files(self) -> dict[str, str]:
        root = str(self._copy.folder) + "/"
        return {name.removeprefix(root): name for name in self._data.measured_files()}

    @cached_property
    def _lines_of_test_file(self) -> Counter[str]:
        """How many lines of the product a test file runs in all."""
        counted: Counter[str] = Counter()
        for name in self._data.measured_files():
            for contexts in self._data.contexts_by_lineno(name).values():
                counted.update({_file_of(each) for each in contexts if each})
        return counted

    def select(self, mutant: Mutant) -> Selection:
        """The tests that run a mutant's line, those first that do little else."""
        seconds, failed = self._figures
        measured = self._measured_files.get(mutant.path)
        by_line = self._data.contexts_by_lineno(measured) if measured else {}
        in_module: Counter[str] = Counter()
        tests: set[str] = set()
        lines = range(mutant.first_line, mutant.last_line + 1)
        # What runs before any test does, such as the making of a class, shows in any of them.
        on_import = mutant.runs_on_import or any("" in by_line.get(line, ()) for line in lines)
        for line, contexts in by_line.items():
            in_module.update({_file_of(each) for each in contexts if each})
            if on_import or line in lines:
                tests.update(each for each in contexts if each)
        tests = (tests - failed) & self._all_tests
        by_file: dict[str, list[str]] = defaultdict(list)
        for test in sorted(tests, key=lambda test: seconds.get(test, 0.0)):
            by_file[_file_of(test)].append(test)
        files = sorted(by_file, key=lambda f: -in_module[f] / self._lines_of_test_file[f])
        spent, left_out = 0.0, 0
        likely: list[str] = []
        rest: list[str] = []
        for name in files:
            for test in by_file[name]:
                if spent + seconds.get(test, 0.0) > self._limit_s:
                    left_out += 1
                    continue
                spent += seconds.get(test, 0.0)
                (likely if spent < LIKELY_S else rest).append(test)
        # Nobody has measured yet what the new ones run.
        stages = [stage for stage in (likely, rest, self._new_tests) if stage]
        return Selection(stages, spent, left_out)


def _file_of(test: str) -> str:
    return test.partition("::")[0]


def _function_of(test: str) -> str:
    return test.partition("[")[0]


class Results:
    """What came of each mutant, a line of JSON each; the last line of a mutant counts.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.by_key: dict[str, dict[str, object]] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                row = json.loads(line)
                self.by_key[row["key"]] = row

    def add(self, row: dict[str, object]) -> None:
        """Keep one more."""
        self.by_key[str(row["key"])] = row
        with self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")


def try_mutant(
    copy: Copy, covering: CoveringTests, mutant: Mutant, source: bytes, work: Path
) -> dict[str, object]:
    """Plant a mutant and run its tests; what came of it."""
    selection = covering.select(mutant)
    began = time.monotonic()
    outcome, code, stages_run = "survived", None, 0
    copy.plant(mutant, source)
    try:
        for tests in selection.stages:
            stages_run += 1
            listing = work / "selected_tests.txt"
            listing.write_text("\n".join(tests))
            code = copy.run_tests(listing, START_S + 4 * selection.seconds)
            if code != 0:
                outcome = "killed" if code is not None else "timed out"
                break
    finally:
        copy.restore(mutant.path, source)
    return {
        "key": mutant.key,
        "kind": mutant.kind,
        "outcome": outcome,
        "seconds": round(time.monotonic() - began, 1),
        "exit_code": code,
        "stages_run": stages_run,
        "left_out": selection.left_out,
        "diff": mutant.diff(source),
    }


def all_mutants(patterns: Iterable[str]) -> tuple[list[Mutant], dict[str, bytes]]:
    """Every mutant of the files that match, and the files' contents."""
    paths = sorted({path for pattern in patterns for path in ROOT.glob(pattern)})
    sources = {str(path.relative_to(ROOT)): path.read_bytes() for path in paths}
    return [
        each for name, source in sources.items() for each in find_mutants(name, source)
    ], sources


def main() -> None:
    """Draw mutants, try each, and print what survived."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--count", type=int, default=150, help="how many mutants to draw")
    parser.add_argument("--seed", type=int, default=None, help="by default a fresh one")
    parser.add_argument("--files", nargs="+", default=DEFAULT_FILES, help="patterns of files")
    parser.add_argument("--markers", default=DEFAULT_MARKERS, help="pytest's -m")
    parser.add_argument("--work", type=Path, default=DEFAULT_WORK, help="the working folder")
    parser.add_argument("--again", action="store_true", help="try the survivors again")
    parser.add_argument("--tests-limit", type=float, default=60.0, help="for one, in seconds")
    parser.add_argument("--time-limit", type=float, default=3600.0, help="in seconds")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    mutants, sources = all_mutants(options.files)
    results = Results(work / "results.jsonl")
    if options.again:
        alive = {key for key, row in results.by_key.items() if row["outcome"] == "survived"}
        drawn = [each for each in mutants if each.key in alive]
    else:
        drawn = random.Random(seed).sample(mutants, min(options.count, len(mutants)))
        print(f"seed {seed}: {len(drawn)} of {len(mutants)} mutants of {len(sources)} files")
        drawn = [each for each in drawn if each.key not in results.by_key]
    copy = Copy(work / "copy")
    copy.make()
    copy.check(work)
    covering = CoveringTests(work, copy, options.markers, options.tests_limit)
    covering.measure()
    ends_at = time.monotonic() + options.time_limit
    for number, mutant in enumerate(drawn, 1):
        if time.monotonic() > ends_at:
            print("the time is over; start it again with the same seed to go on")
            break
        source = sources[mutant.path]
        row = try_mutant(copy, covering, mutant, source, work)
        results.add(row)
        place = f"{mutant.path}:{mutant.first_line}"
        print(
            f"{number}/{len(drawn)} {row['outcome']} {row['seconds']} s {mutant.kind} {place}",
            flush=True,
        )
        if row["outcome"] == "survived":
            print(row["diff"], flush=True)
    counts = Counter(str(row["outcome"]) for row in results.by_key.values())
    tried = sum(counts.values())
    noticed = counts["killed"] + counts["timed out"]
    print(f"{dict(counts)}: {noticed} of {tried} noticed ({noticed / max(tried, 1):.1%})")


if __name__ == "__main__":
    main()
