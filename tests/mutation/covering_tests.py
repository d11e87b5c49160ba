"""Which tests run which lines: one run of the suite, with each test a context of coverage."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

DATA_NAME = "covering_tests.coverage"
FIGURES_NAME = "covering_tests.json"


class _Recorder:
    """A plugin of pytest that tells coverage which test runs, and keeps how long each took."""

    def __init__(self, measured: coverage.Coverage) -> None:
        self._measured = measured
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._measured.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            self._measured.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed or report.skipped:
            self.failed.add(report.nodeid)


def main() -> None:
    """Run the tests named on the command line; write what covers what into the first argument."""
    folder = Path(sys.argv[1])
    root = Path.cwd()
    measured = coverage.Coverage(
        data_file=str(folder / DATA_NAME),
        config_file=False,
        source=[str(root / "agents"), str(root / "messages")],
        concurrency=["thread"],
    )
    recorder = _Recorder(measured)
    measured.start()
    try:
        pytest.main(sys.argv[2:], plugins=[recorder])
    finally:
        measured.stop()
        measured.save()
    figures = {"seconds": recorder.seconds, "failed": sorted(recorder.failed)}
    (folder / FIGURES_NAME).write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
