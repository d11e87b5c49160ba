"""Runs the attacks, one after the other, and prints what became of the run.

    python tests/attacks/run_all.py [--quick] [--only NAME ...] [--json FILE]

Each module of this folder that has a function `attack` is one. It takes `quick`, and returns a dict
of figures; those that are dicts themselves, such as of before, during and after, are the rows of a
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
    # Where dataclasses look up what their annotations name.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def show(told: dict[str, Any]) -> None:
    """Print what one of them told: a table of when, and a line for each other figure."""
    if "failure" in told:
        sys.stdout.write(told["failure"])
        return
    rows = {key: value for key, value in told.items() if isinstance(value, dict)}
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    wide = max(map(len, rows), default=0)
    if rows:
        sys.stdout.write(f"  {'':{wide}}" + "".join(f"{column:>13}" for column in columns) + "\n")
    for name, row in rows.items():
        cells = "".join(f"{row.get(column, '')!s:>13}" for column in columns)
        sys.stdout.write(f"  {name:{wide}}{cells}\n")
    for key, value in told.items():
        if key not in rows:
            sys.stdout.write(f"  {key}: {value}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
