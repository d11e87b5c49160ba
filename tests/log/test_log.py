"""The library's log lines, in a program that configures nothing and in one that does."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
import structlog
from muster.agents.log import FIELDS, log

UNCONFIGURED = """
from muster.agents.log import log
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
    assert captured == []
    assert caplog.messages == ["only for stdlib"]
