"""The behaviour that only the memory store has."""

from __future__ import annotations

import pytest
from muster.agents.kernel.board.rows import Rows
from muster.agents.store.memory import MemoryStore
from muster.messages import StoreUnusable


def test_the_memory_of_a_dead_manager_goes_to_the_next_and_its_late_writes_are_refused() -> None:
    dead = MemoryStore()
    dead.write(Rows(b"before its death"))
    dead.memory.release()
    with pytest.raises(StoreUnusable, match="was released"):
        dead.write(Rows(b"late"))
    successor = MemoryStore(dead.memory)
    with pytest.raises(StoreUnusable, match="was released"):
        dead.write(Rows(b"later"))
    dead.close()
    successor.write(Rows(b"goes on"))
    assert successor.load() == Rows(b"goes on")


def test_two_stores_in_memory_have_nothing_to_do_with_each_other() -> None:
    first, second = MemoryStore(), MemoryStore()
    first.write(Rows(b"first"))
    assert second.load() == Rows()
