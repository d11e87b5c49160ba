"""A NATS server of one's own, on a free port, as long as it is needed."""

from __future__ import annotations

import contextlib
import importlib.util
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType


@contextlib.contextmanager
def nats_server() -> Iterator[str]:
    """Run a server; gives its URL."""
    run = _tests_module().running_nats_server
    with tempfile.TemporaryDirectory() as folder, run(Path(folder)) as server:
        yield server.url


def _tests_module() -> ModuleType:
    # Those of the tests, which are no package.
    path = Path(__file__).parents[2] / "nats_server.py"
    spec = importlib.util.spec_from_file_location("nats_server_of_tests", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
