"""Counts who needs each blob, and deletes those that nobody needs any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterable, Iterator

from ...messages import BlobUnusable
from ..runtime.log import log
from .offload import Blobs


class BlobReferences:
    """Counts references to blobs: by tasks that need them, and by reads and writes under way."""

    def __init__(self) -> None:
        # Bounded by the holders: tasks that are not settled, and what is under way.
        self._holders: dict[str, set[Hashable]] = {}
        self._held: dict[Hashable, set[str]] = {}

    def __contains__(self, name: str) -> bool:
        """Whether anything references a blob."""
        return name in self._holders

    def __iter__(self) -> Iterator[str]:
        """The names of the blobs that are referenced."""
        return iter(self._holders)

    def hold(self, holder: Hashable, names: Iterable[str]) -> None:
        """Add references from a holder to blobs."""
        for name in names:
            self._holders.setdefault(name, set()).add(holder)
            self._held.setdefault(holder, set()).add(name)

    def release(self, holder: Hashable) -> list[str]:
        """Drop all references of a holder; the names of the blobs that have none left."""
        free: list[str] = []
        held = self._held.pop(holder, None)
        if held is None:
            return free
        for name in sorted(held):
            holders = self._holders[name]
            holders.discard(holder)
            if not holders:
                del self._holders[name]
                free.append(name)
        return free


class BlobCollector:
    """Deletes blobs once nothing references them.

    Blobs that become free in one turn of the event loop are deleted together. A blob that is
    needed again while it is being deleted must be written again after that.

    Args:
        begin: runs a coroutine in the background.
    """

    def __init__(
        self, begin: Callable[[Coroutine[object, object, None]], asyncio.Task[None]]
    ) -> None:
        self._begin = begin
        self._blobs: Blobs | None = None
        self._references = BlobReferences()
        self._deletions: dict[str, asyncio.Task[None]] = {}
        # What the next deletion is to delete, each with the earlier one that it must wait for.
        self._pending: dict[str, asyncio.Task[None] | None] = {}
        self._next_deletion: asyncio.Task[None] | None = None

    def use(self, blobs: Blobs) -> None:
        """Delete from a store from now on."""
        self._blobs = blobs

    @property
    def referenced(self) -> frozenset[str]:
        """The names of the blobs that are referenced."""
        return frozenset(self._references)

    def hold(self, holder: Hashable, names: Iterable[str]) -> None:
        """Keep blobs until their holder is released."""
        self._references.hold(holder, names)

    def release(self, holder: Hashable) -> None:
        """Drop all references of a holder, and delete the blobs that have none left."""
        for name in self._references.release(holder):
            if self._next_deletion is None:
                self._next_deletion = self._begin(self._delete_pending())
            if name not in self._pending:
                self._pending[name] = self._deletions.get(name)
                self._deletions[name] = self._next_deletion

    def is_deletion(self, task: asyncio.Task[None]) -> bool:
        """Whether a background task deletes blobs."""
        return task in self._deletions.values()

    async def finish_deletions(self, names: Iterable[str]) -> None:
        """Wait until the deletions of some blobs that were begun have ended."""
        deletions = {self._deletions[name] for name in names if name in self._deletions}
        if deletions:
            await asyncio.wait(deletions)

    async def _delete_pending(self) -> None:
        pending, self._pending = self._pending, {}
        own, self._next_deletion = self._next_deletion, None
        try:
            before = {each for each in pending.values() if each is not None}
            if before:
                await asyncio.wait(before)
            names = [name for name in pending if name not in self._references]
            if self._blobs is not None and names:
                await self._blobs.delete(*names)
        except BlobUnusable as fault:
            log.warning("could not delete blobs that nobody needs", reason=str(fault))
        finally:
            for name in pending:
                if self._deletions.get(name) is own:
                    del self._deletions[name]
