"""Every module is the checkout's, can be imported first of all, and is quiet about it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

IMPORT_ALL = """
import functools, gc, json, logging, sys
from importlib.machinery import SourceFileLoader
import loguru, structlog

def settings():
    root = logging.getLogger()
    return {
        "root handlers": [str(handler) for handler in root.handlers],
        "root level": root.level,
        "disabled below": root.manager.disable,
        "structlog": str(structlog.get_config()),
        "loguru handlers": sorted(loguru.logger._core.handlers),
    }

before, (answers, each_first, *modules) = settings(), sys.argv[1:]
__import__("muster.messages")
always_together = {known for known in sys.modules if known.startswith("muster.messages")}
# The same files are loaded again and again, and leave more to collect than all else.
SourceFileLoader.get_code = functools.cache(SourceFileLoader.get_code)
gc.disable()
for number, module in enumerate(modules):
    if each_first:
        if number % 50 == 0:
            gc.collect()
        for known in [known for known in sys.modules if known.split(".")[0] == "muster"]:
            # These take longest to import, and who imports one message always has all of them.
            if known not in always_together or module in always_together:
                del sys.modules[known]
    __import__(module)
with open(answers, "w") as file:
    json.dump([before, settings()], file)
"""


def test_every_module_comes_from_this_checkout(
    sources: Sequence[Path], checkout: Path, module_name: Callable[[Path], str]
) -> None:
    elsewhere: dict[str, object] = {}
    for source in sources:
        found = importlib.util.find_spec(module_name(source))
        if (
            found is None
            or found.origin is None
            or Path(found.origin).resolve() != checkout / source
        ):
            elsewhere[source.as_posix()] = found
    assert elsewhere == {}


def import_quietly(modules: list[str], folder: Path, each_first: str = "") -> None:
    answers, current = folder / "settings.json", folder / "current"
    current.mkdir()
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_ALL, str(answers), each_first, *modules],
        capture_output=True,
        text=True,
        cwd=current,
        timeout=600,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    before, after = json.loads(answers.read_text(encoding="utf-8"))
    assert after == before
    assert list(current.iterdir()) == []


def test_importing_prints_nothing_configures_no_logging_and_leaves_no_file(
    modules: list[str], tmp_path: Path
) -> None:
    import_quietly(modules, tmp_path)


@pytest.mark.slow
def test_no_module_leans_on_what_another_has_imported(modules: list[str], tmp_path: Path) -> None:
    import_quietly(modules, tmp_path, each_first="yes")
