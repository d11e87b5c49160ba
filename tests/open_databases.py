"""Finds the SQLite connections that a test opened and did not close.

Only Python 3.13 warns of them, and when they are collected, which is in any later test.
"""

from __future__ import annotations

import sqlite3
import traceback
from collections.abc import Generator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any
from weakref import ref

import pytest

_FRAMES = 8
_connect = sqlite3.connect


@contextmanager
def failing_on_open_databases() -> Generator[None]:
    """Fail with the places where they were opened if connections are left open."""
    opened_at: dict[int, str] = {}
    left: dict[int, ref[sqlite3.Connection]] = {}
    numbers = count()

    class Watched(sqlite3.Connection):
        """Is on the list until it is closed; an id would be another's after it is collected."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.number = next(numbers)
            stack = traceback.extract_stack(limit=_FRAMES)[:-2]
            opened_at[self.number] = "".join(traceback.format_list(stack))
            left[self.number] = ref(self)

        def close(self) -> None:
            super().close()
            opened_at.pop(self.number, None)
            left.pop(self.number, None)

    def watched_connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        return _connect(*arguments, factory=Watched, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", watched_connect)
        yield
    places = list(opened_at.values())
    # No later test is to fail for it as well.
    for connection in [each() for each in left.values()]:
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
    if places:
        pytest.fail(
            f"{len(places)} SQLite connections were left open, opened at:\n" + "\n\n".join(places)
        )
