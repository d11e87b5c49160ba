"""A worker asks to join again when another manager leads, and only then."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from muster.agents import MemoryStore, run_in_virtual_time
from muster.agents.store.memory import SharedRows
from muster.agents.worker.manager_session import ManagerSession
from muster.messages import ManagerReplaced, RunHandedOver, Task, Welcome

from ..client.test_client import Place, lasting

WELCOME = Welcome(
    manager="boss", worker="Ada", session="s", worker_session="a", heartbeat_s=2, lost_after_s=10
)


class SilentEndpoint:
    """Sends nothing."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def open(self, *_: object) -> None:
        pass

    def post_datagram(self, _: str, message: object) -> None:
        self.sent.append(message)


def joined() -> tuple[ManagerSession, SilentEndpoint]:
    endpoint = SilentEndpoint()
    session: Any = ManagerSession
    made = session(
        None, "Ada", "a", endpoint, hello=lambda call: f"hello {call}", calls=iter((1, 2))
    )
    made.begin("at boss", WELCOME)
    return made, endpoint


@pytest.mark.parametrize(
    ("sender", "told", "asks"),
    [
        pytest.param("at boss", ManagerReplaced(manager="boss"), True, id="ours hands over"),
        pytest.param(
            "at new", ManagerReplaced(manager="boss", leads=True), True, id="another took over"
        ),
        pytest.param(
            "at boss", ManagerReplaced(manager="boss", leads=True), False, id="ours took over"
        ),
        pytest.param(
            "at new", ManagerReplaced(manager="boss"), False, id="another of its members hands over"
        ),
        pytest.param(
            "at new", ManagerReplaced(manager="other", leads=True), False, id="of another run"
        ),
    ],
)
def test_a_worker_asks_again_if_its_run_has_another_manager(
    sender: str, told: ManagerReplaced, asks: bool
) -> None:
    session, endpoint = joined()
    session.note_replaced(sender, told)
    assert session.is_member is not asks
    assert endpoint.sent == (["hello 1"] if asks else [])


def test_a_client_gets_its_results_from_the_manager_that_leads_after_a_handover() -> None:
    async def story() -> Any:
        place, rows = Place(), SharedRows()
        first = await place.open(store=MemoryStore(rows))
        await place.work()
        client = await place.client()
        waiting = asyncio.ensure_future(client.gather([lasting(1, 5.0)]))
        await asyncio.sleep(1.0)
        first._shell.hand_over()
        (handed_over,) = await asyncio.gather(place.running[0], return_exceptions=True)
        place.links[first.name].leave()
        second = await place.open(store=MemoryStore(rows))
        (result,) = await waiting
        await client.add_tasks([Task(id=2, type="double", data=2)])
        output = (await client.result(2)).output
        ended_at = asyncio.get_running_loop().time()
        await place.close()
        return handed_over, result, output, ended_at, len(second.board.tasks[1].attempts)

    handed_over, result, output, ended_at, attempts = run_in_virtual_time(story())
    assert isinstance(handed_over, RunHandedOver)
    assert (result.output, output, attempts) == ("done", 4, 1)
    assert ended_at < 8.0
