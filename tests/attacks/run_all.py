"""Runs the attacks, one after the other, and prints what became of the run.

    python tests/attacks/run_all.py [--quick] [--only NAME ...] [--json FILE]

Each module of this folder that has a function `attack` is one. It takes `quick`, and returns a dict
of figures; those that are dicts themselves, such as of before, during and after, are shown as a
table. All attacks stay on loopback.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import signal
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).parent
COLUMNS = ("tasks/s", "descriptors", "rss_mb", "threads", "cpu", "silent_s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short, to see that all of them run")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names())
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    told: dict[str, Any] = {}
    for name in options.only or names():
        module = load(name)
        sys.stdout.write(f"\n{name}: {(module.__doc__ or '').splitlines()[0]}\n")
        sys.stdout.flush()
        try:
            told[name] = module.attack(quick=options.quick)
        except Exception:  # noqa: BLE001 - the others are run all the same
            told[name] = {"failure": traceback.format_exc()}
        show(told[name])
    if options.json is not None:
        options.json.write_text(json.dumps(told, indent=1))
    return int(any("failure" in each for each in told.values()))


def names() -> list[str]:
    """The modules of this folder that attack."""
    return sorted(
        file.stem for file in HERE.glob("*.py") if "\ndef attack(" in file.read_text("utf-8")
    )


def load(name: str) -> ModuleType:
    """Load one of them."""
    if str(HERE) not in sys.path:
        sys.path.insert(0, str(HERE))
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def show(told: dict[str, Any]) -> None:
    """Print what one of them told: a table of when, and a line for each other figure."""
    if "failure" in told:
        sys.stdout.write(told["failure"])
        return
    phases = [key for key, value in told.items() if isinstance(value, dict)]
    if phases:
        sys.stdout.write(f"  {'':8}" + "".join(f"{column:>12}" for column in COLUMNS) + "\n")
    for phase in phases:
        cells = "".join(f"{told[phase].get(column, '')!s:>12}" for column in COLUMNS)
        sys.stdout.write(f"  {phase:8}{cells}\n")
    for key, value in told.items():
        if key not in phases:
            sys.stdout.write(f"  {key}: {value}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
