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
import json, logging, sys
from importlib.machinery import SourceFileLoader
from importlib.util import spec_from_loader
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

finished = []

class Noting(SourceFileLoader):
    load = SourceFileLoader.exec_module

    def exec_module(self, module):
        Noting.load(self, module)
        finished.append(module.__name__)

SourceFileLoader.exec_module = Noting.exec_module

def loaded():
    return [name for name in sys.modules if name.startswith("muster.")]

class Known:
    "Finds modules that were imported first of all before, and puts back what each had imported."

    modules, had_imported = {}, {}

    def find_spec(self, name, path=None, target=None):
        if name in self.had_imported:
            is_package = hasattr(self.modules[name], "__path__")
            return spec_from_loader(name, self, is_package=is_package)

    def create_module(self, spec):
        return self.modules[spec.name]

    def exec_module(self, module):
        names = self.had_imported[module.__name__]
        sys.modules.update((name, self.modules[name]) for name in names)
        for name in names:
            package, _, own_name = name.rpartition(".")
            vars(sys.modules[package]).setdefault(own_name, self.modules[name])

    def import_first(self, name):
        for each in loaded():
            package, _, own_name = each.rpartition(".")
            if vars(sys.modules[package]).get(own_name) is sys.modules[each]:
                delattr(sys.modules[package], own_name)
        for each in loaded():
            del sys.modules[each]
        __import__(name)
        self.had_imported[name] = loaded()
        for each in loaded():
            self.modules.setdefault(each, sys.modules[each])

before, (answers, each_first, *modules) = settings(), sys.argv[1:]
for module in modules:
    __import__(module)
if each_first:
    known = Known()
    sys.meta_path.insert(0, known)
    # What a module imports has finished before it, and its packages begin before it.
    for module in [name for name in finished if name.startswith("muster.")]:
        parts = module.split(".")
        for end in range(2, len(parts) + 1):
            if (name := ".".join(parts[:end])) not in known.had_imported:
                known.import_first(name)
    assert set(modules) - {"muster"} <= set(known.had_imported)
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
