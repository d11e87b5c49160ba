"""The library's log lines, in a program that configures nothing and in one that does."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys

import pytest
import structlog
from muster.agents import run_in_virtual_time
from muster.agents.runtime.log import FIELDS, log
from muster.agents.runtime.repeated_warning import RepeatedWarning

UNCONFIGURED = """
from muster.agents.runtime.log import log
log.debug("a detail")
log.info("joined", worker="Ada")
log.warning("dropped 5% of it", flaw="pickle")
"""


def test_unconfigured_it_says_nothing_on_stdout_and_only_warnings_on_stderr() -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNCONFIGURED], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "dropped 5% of it flaw='pickle'\n")


def test_an_embedding_program_gets_records_with_their_fields(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "muster")
    log.info("joined", worker="Ada")
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("muster", "INFO")
    assert record.getMessage() == "joined worker='Ada'"
    assert getattr(record, FIELDS) == {"event": "joined", "worker": "Ada"}


def test_an_exception_comes_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    fault = ValueError("no such column")
    log.error("a handler failed", exc_info=fault)
    assert caplog.records[0].exc_info is not None
    assert caplog.records[0].exc_info[1] is fault


def test_what_the_program_does_with_structlog_is_its_own_affair(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with structlog.testing.capture_logs() as captured:
        log.warning("only for stdlib")
    # It leaves structlog configured, as if the program had done so.
    structlog.reset_defaults()
    assert captured == []
    assert caplog.messages == ["only for stdlib"]


def test_a_line_is_that_of_whoever_told_it(caplog: pytest.LogCaptureFixture) -> None:
    log.warning("here")
    assert caplog.records[0].funcName == "test_a_line_is_that_of_whoever_told_it"


WITHOUT_DESCRIPTORS = """
import os, resource
from muster.agents.command.console.logging_setup import configure_logging
from muster.agents.runtime.log import log
configure_logging(0)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
held = []
try:
    while True:
        held.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
log.warning("no descriptor is left", listener="door")
log.error("a handler failed", exc_info=ValueError("too wet"))
"""


def test_the_command_tells_its_lines_though_no_file_can_be_opened() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DESCRIPTORS], capture_output=True, text=True, check=True
    )
    first, second, *_ = done.stderr.splitlines()
    assert first == "no descriptor is left listener='door'"
    assert second == "a handler failed"
    assert done.stderr.endswith("ValueError: too wet\n")


def test_what_happens_a_thousand_times_is_told_once_in_a_while(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        warning = RepeatedWarning("a stranger knocks", every_s=60)
        for _ in range(3):
            for _ in range(1_000):
                warning.tell(at="the door")
            await asyncio.sleep(61)

    run_in_virtual_time(story())
    assert caplog.messages == [
        f"a stranger knocks times={times} at='the door'" for times in (1, 1_001, 2_001)
    ]
