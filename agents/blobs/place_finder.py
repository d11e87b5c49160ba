"""Finds out whether a member reaches the manager's blob store, in each conversation anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from pydantic import BaseModel

from ...messages import BlobPlace, BlobsReached, BlobsWanted, BlobUnusable
from ..kernel.security.blob_seal import BlobSeal
from ..runtime.error_text import describe_fault
from ..runtime.log import log
from .offload import Blobs, BlobThreads
from .places import open_place

ANSWER_WITHIN_S = 10.0
"""How long a manager may take to tell where the blob store is; then it counts as not reached."""


class FoundPlace(NamedTuple):
    """The blob store that the manager has named.

    Args:
        blobs: the store; None if this member can't reach it.
        fault: why nobody can use it, or "".
    """

    blobs: Blobs | None
    fault: str = ""


class PlaceFinder:
    """Asks the manager where its blob store is, and tells it whether this member reaches it.

    What a manager says about its blob store holds for one conversation.

    Args:
        post: sends a message to the manager.
        threads: call the store.
    """

    def __init__(self, post: Callable[[BaseModel], None], threads: BlobThreads) -> None:
        self._post = post
        self._threads = threads
        self._member = ""
        self._seal = BlobSeal(None)
        self._place: asyncio.Future[FoundPlace] | None = None

    def begin(self, member: str, blob_key: bytes | None) -> None:
        """Set what is known only when there is a connection.

        Args:
            member: the name of the worker or client.
            blob_key: the key that seals blobs; None if they are not sealed.
        """
        self._member = member
        self._seal = BlobSeal(blob_key)

    def forget(self) -> None:
        """Forget what the manager said: the conversation is over."""
        self._place = None

    async def take(self, place: BlobPlace) -> None:
        """The manager tells where the blob store is: try it, and answer."""
        found = await self._look_at(place)
        answer = self._expected_place()
        if answer.done():
            answer = self._place = asyncio.get_running_loop().create_future()
        answer.set_result(found)

    def give_up(self, reason: str) -> None:
        """Tell the manager that the store is not reached any more.

        Args:
            reason: why not.
        """
        self._post(BlobsReached(reached=False, reason=reason))
        self._place = asyncio.get_running_loop().create_future()
        self._place.set_result(FoundPlace(None))

    async def find(self) -> FoundPlace:
        """The store, as far as the manager tells in time."""
        if self._place is None:
            self._post(BlobsWanted())
        answer = self._expected_place()
        await asyncio.wait({answer}, timeout=ANSWER_WITHIN_S)
        if not answer.done():
            answer.set_result(FoundPlace(None))
        return answer.result()

    async def _look_at(self, place: BlobPlace) -> FoundPlace:
        if not place.url or place.probe is None:
            return FoundPlace(None, place.reason)
        probe = place.probe
        try:
            store = await self._threads.run(partial(open_place, place.url))
            blobs = Blobs(store, self._seal, self._threads)
            await blobs.try_probe(probe)
        except BlobUnusable as fault:
            log.info("can't reach the blob store", member=self._member, reason=str(fault))
            self._post(BlobsReached(reached=False, reason=describe_fault(fault)))
            return FoundPlace(None)
        self._post(BlobsReached(reached=True))
        return FoundPlace(blobs)

    def _expected_place(self) -> asyncio.Future[FoundPlace]:
        if self._place is None:
            self._place = asyncio.get_running_loop().create_future()
        return self._place
