"""Who needs which blob: it stays as long as anybody does."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator


class BlobHolders:
    """Counts the holders of blobs: tasks that need them, and whoever is about to write or read."""

    def __init__(self) -> None:
        # Bounded by what holds: tasks that are not settled, and what is under way.
        self._holders: dict[str, set[Hashable]] = {}
        self._held: dict[Hashable, set[str]] = {}

    def __contains__(self, name: str) -> bool:
        """Whether anybody holds a blob."""
        return name in self._holders

    def __iter__(self) -> Iterator[str]:
        """The names of the blobs that are held."""
        return iter(self._holders)

    def hold(self, holder: Hashable, names: Iterable[str]) -> None:
        """Have somebody hold blobs, beside those that it holds."""
        for name in names:
            self._holders.setdefault(name, set()).add(holder)
            self._held.setdefault(holder, set()).add(name)

    def release(self, holder: Hashable) -> list[str]:
        """Let go of all that somebody holds; the names of those that nobody holds any more."""
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
