"""Lets agents be used in `async with`: they start with the block, and stop with it."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self


class StartedInBlock:
    """Starts with an `async with` block, in the background, and stops at its end."""

    @abstractmethod
    async def start(self) -> None:
        """Start in the background."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop, and wait for the end."""

    async def __aenter__(self) -> Self:
        """Start in the background; see `start`."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop, and wait for the end; see `stop`."""
        await self.stop()
