"""Whether a manager is ready: its doors open, its store writable, its workers there."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from ...messages import StoreUnusable
from ..manager.task_manager import TaskManager
from .api_models import Ready

STORE_WITHIN_S = 5.0
"""How long the store may take to be written to."""


class _Found(NamedTuple):
    doors: str
    workers: int
    expected: int


async def find_readiness(manager: TaskManager) -> Ready:
    """See whether tasks that a manager is given now will be done."""
    found = manager.ask(lambda: _look(manager))
    store, is_store_well = await _try_store(manager, found.doors)
    is_ready = found.doors == "open" and is_store_well and found.workers >= found.expected
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
    # Once the assigning has begun the run goes on with fewer, as long as there is one.
    expected = 1 if board.began_at is not None else max(board.rules.expected_workers, 1)
    return _Found(doors, len(board.worker_registry.present), expected)


async def _try_store(manager: TaskManager, doors: str) -> tuple[str, bool]:
    if not manager.has_store:
        return "none", True
    if doors != "open":
        return "not tried", False
    try:
        await asyncio.wait_for(manager.try_store(), STORE_WITHIN_S)
    except StoreUnusable as fault:
        return str(fault), False
    except asyncio.TimeoutError:
        return f"could not be written to within {STORE_WITHIN_S:g} s", False
    return "writable", True
