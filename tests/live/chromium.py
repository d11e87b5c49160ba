"""Finds the Chromium in which the page is tested."""

from __future__ import annotations

import os
import shutil

import pytest

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]


def find_chromium_or_skip() -> str:
    """The Chromium that `MUSTER_CHROMIUM` names, or the one on the path.

    Where there is none the test is skipped, but not where `CI` or `MUSTER_BROWSER_REQUIRED` is set.
    """
    named = os.environ.get("MUSTER_CHROMIUM")
    found = named or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        missing = "there is no Chromium on the path, and MUSTER_CHROMIUM names none"
        is_required = any(os.environ.get(name) for name in ("CI", "MUSTER_BROWSER_REQUIRED"))
        assert not is_required, missing
        pytest.skip(missing)
    return found
