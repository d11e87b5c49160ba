"""Whether a manager is ready: open for workers, its store writable, its workers connected."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from ...messages import StoreUnusable
from ..manager.task_manager import TaskManager
from .api_models import Ready

STORE_TIMEOUT_S = 5.0
"""How long a write to the store may take, in seconds."""


class _Found(NamedTuple):
    doors: str
    workers: int
    expected: int


async def find_readiness(manager: TaskManager) -> Ready:
    """Check whether tasks that are added to a manager now will be done."""
    found = manager.ask(lambda: _look(manager))
    store, store_is_writable = await _try_store(manager, found.doors)
    is_ready = found.doors == "open" and store_is_writable and found.workers >= found.expected
    return Ready(
        ready=is_ready,
        doors=found.doors,
        store=store,
        workers=found.workers,
        expected_workers=found.expected,
    )


def _look(manager: TaskManager) -> _Found:
    board = manager.board
    if board.has_ended:
        doors = "closed"
    elif board.start_barrier.opened_at is None or board.is_suspended:
        doors = "not open yet"
    else:
        doors = "open"
    # Once tasks have been assigned, the run continues with fewer workers, as long as there is one.
    expected = 1 if board.began_at is not None else max(board.rules.expected_workers, 1)
    return _Found(doors, len(board.worker_registry.present), expected)


async def _try_store(manager: TaskManager, doors: str) -> tuple[str, bool]:
    if not manager.has_store:
        return "none", True
    if doors != "open":
        return "not tried", False
    try:
        await asyncio.wait_for(manager.try_store(), STORE_TIMEOUT_S)
    except StoreUnusable as fault:
        return str(fault), False
    except asyncio.TimeoutError:
        return f"could not be written to within {STORE_TIMEOUT_S:g} s", False
    return "writable", True
