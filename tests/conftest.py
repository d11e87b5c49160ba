"""What all tests share."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from .nats_server import NatsServer, running_nats_server
from .open_databases import failing_on_open_databases

# By hand, to search for what is new: pytest -m hypothesis --hypothesis-profile=thorough. A busy
# machine makes single examples slow; a property holds or fails whatever the clock says.
settings.register_profile(
    "thorough",
    settings.get_profile("default"),
    deadline=None,
    max_examples=200,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
# Otherwise the same examples each time, so that no change is refused for an old fault by luck.
settings.register_profile(
    "muster", settings.get_profile("thorough"), derandomize=True, max_examples=30
)
settings.load_profile("muster")

# Processes of a pool import the tests' functions by the names that pytest gives their modules.
# `python -m pytest` finds them in the current folder; `pytest` would not.
_ROOT = str(Path(__file__).parents[1])
if _ROOT not in sys.path:
    sys.path.append(_ROOT)

# Tests start hundreds of processes. Where none may write bytecode beside the sources, each would
# compile all of Muster anew: they write it beside what pytest keeps from run to run.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    os.environ.setdefault("PYTHONPYCACHEPREFIX", str(Path(_ROOT, ".pytest_cache", "bytecode")))


@pytest.fixture(autouse=True)
def _databases_are_closed() -> Generator[None]:
    """Every test ends with its databases closed, and so does every run that it plays."""
    with failing_on_open_databases():
        yield


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[NatsServer]:
    """A NATS server with JetStream for all tests of this process; do not stop it.

    Tests that stop theirs, or configure it, start one with `running_nats_server`.
    """
    with running_nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


def pytest_sessionstart() -> None:
    """Keep Hypothesis from drawing what the modules that happen to be loaded contain."""
    if settings().derandomize:
        providers.is_local_module_file = lambda _: False


def pytest_collection_finish() -> None:
    """Keep the collector from examining all that was loaded: half a second each time it is told."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a test print what is no UTF-8: xdist could not send it on, and would give up the run."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests that are run by hand take as long as they need."""
    for item in items:
        if item.get_closest_marker("exhaustive"):
            item.add_marker(pytest.mark.timeout(0))
