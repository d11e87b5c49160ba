"""Runs the benchmark of matching: `python tests/benchmarks/matching [--quick] [--only ROW ...]`."""

from __future__ import annotations

import sys
from pathlib import Path

# So that it also runs by its path, from any folder.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from matching.command import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
