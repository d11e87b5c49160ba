"""When a worker's results leave: at once, together in a loop turn, or a little later."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from muster.agents import run_in_virtual_time
from muster.agents.transport.endpoint import Endpoint
from muster.agents.worker.outbox import BATCHING_S, ResultOutbox


@dataclass
class Talk:
    """A conversation that notes what is posted."""

    posted: list[bytes] = field(default_factory=list)
    manager: str | None = "boss"
    asks_again: bool = False

    @property
    def endpoint(self) -> Endpoint:
        return cast("Endpoint", self)

    def acknowledged(self, peer: str) -> int:
        return 0

    def post_encoded(self, peer: str, *messages: bytes) -> int:
        self.posted += messages
        return len(self.posted) - 1


def test_only_the_last_result_is_sent_at_once_and_takes_those_before_it_along() -> None:
    talk, outbox = Talk(), ResultOutbox()
    outbox.use(talk)

    async def story() -> Any:
        outbox.add((1, 1), b"one")
        at_first = list(talk.posted)
        outbox.add((2, 1), b"two", is_last=True)
        at_once = list(talk.posted)
        outbox.add((3, 1), b"three", batches=True)
        await asyncio.sleep(BATCHING_S / 2)
        meanwhile = list(talk.posted)
        await asyncio.sleep(BATCHING_S)
        return at_first, at_once, meanwhile

    two = [b"one", b"two"]
    assert run_in_virtual_time(story()) == ([], two, two)
    assert talk.posted == [b"one", b"two", b"three"]
