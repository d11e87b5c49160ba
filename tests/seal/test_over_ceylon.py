"""The seal over real Ceylon: strangers who know port, peer id and workspace, but not the secret."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from muster.agents import TaskManager, WorkerAgent
from muster.agents.kernel.delivery.frame_seal import Outgoing
from muster.agents.kernel.model.occurrences import Occurrence
from muster.agents.kernel.security.client_seal import ClientSeal
from muster.agents.kernel.security.workspace_secret import WorkspaceSecret
from muster.agents.security.sealing import fresh_identity
from muster.agents.security.secret_sources import fresh_secret
from muster.agents.security.ticket import Ticket
from muster.agents.transport.ceylon_agent import CeylonAgent
from muster.agents.transport.ceylon_api import PeerMode
from muster.messages import (
    DecodeError,
    Hello,
    Shutdown,
    Task,
    TaskAssignment,
    TaskResult,
    encode_message,
)
from muster.messages.frame import (
    ANY_MANAGER,
    EVERYONE,
    Datagram,
    Frame,
    Section,
    decode_frame,
    encode_frame,
    encode_letter,
)

pytestmark = pytest.mark.ceylon

DEADLINE_S = 180


class Stranger(CeylonAgent):
    """Joins a workspace, writes down what it hears, and says what it is told to."""

    def __init__(self, ticket: Ticket, says: Callable[[Stranger], list[bytes]]) -> None:
        super().__init__(
            "stranger",
            PeerMode.CLIENT,
            "worker",
            workspace_id=ticket.workspace_id,
            port=ticket.port,
            admin_peer=ticket.peer_id,
            host=ticket.host,
        )
        self.heard: list[bytes] = []
        self._says = says

    async def serve(self) -> None:
        while True:
            for frame in self._says(self):
                await self.send(frame)
            await asyncio.sleep(0.1)

    def receive(self, frame: bytes) -> None:
        self.heard.append(frame)

    def report_fault(self, doing: str, fault: BaseException) -> None:
        raise AssertionError(doing) from fault

    def send_model(self, to: str, message: object) -> None:
        raise NotImplementedError


class Patient(WorkerAgent):
    """A worker whose one task lasts until it is released."""

    def __init__(self, name: str, **how: Any) -> None:
        super().__init__(name, 9, **how)
        self.released = asyncio.Event()

    async def handle_task(self, data: TaskAssignment) -> bool:  # type: ignore[override]
        await self.released.wait()
        return True


async def until(happens: Callable[[], bool]) -> None:
    async def look() -> None:
        while not happens():
            await asyncio.sleep(0.02)

    await asyncio.wait_for(look(), DEADLINE_S)


async def run_beside(
    stranger_says: Callable[[Stranger], list[bytes]],
    enough: Callable[[TaskManager, Stranger], bool],
    secret: WorkspaceSecret | None = None,
) -> tuple[TaskManager, Stranger, Counter[Any]]:
    """Run one manager and one worker until a stranger beside them has said enough."""
    happened: list[Occurrence] = []
    # On a busy machine it takes a while until the stranger has said enough.
    task = Task(id=1, description="wait", timeout=DEADLINE_S)
    manager = TaskManager([task], 1, port=0, quiet=True, secret=secret, lost_after_s=30)
    manager.watch(happened.append)
    worker = Patient("Ada")
    ticket = manager.ticket()
    stranger = Stranger(ticket, stranger_says)
    managing = asyncio.ensure_future(manager.start_agent(b"", [worker, stranger]))
    try:
        await until(lambda: worker.has_task)
        await until(lambda: enough(manager, stranger))
        worker.released.set()
        await asyncio.wait_for(managing, DEADLINE_S)
    finally:
        await manager.stop()
        await asyncio.wait_for(managing, DEADLINE_S)
    return manager, stranger, Counter((each.what, each.task_id) for each in happened)


def forged(stranger: Stranger) -> list[bytes]:
    """Garbage, and messages of ours, plain and as if sealed with the secret."""
    seal = ClientSeal(fresh_secret(), stranger.workspace_id, fresh_identity())
    frames = [b"garbage", b"N.\x02" + bytes(120), b"N.\x03" + bytes(220)]
    for to, message in (
        (ANY_MANAGER, Hello(name="Mallory", skill_level=10, session="s")),
        (ANY_MANAGER, TaskResult(task_id=1, worker="Ada", success=False, error_message="no")),
        (EVERYONE, Shutdown(reason="go home")),
    ):
        letter = encode_letter(Datagram((encode_message(message),)))
        plain = encode_frame(Frame(stranger.address, (Section(to, letter),)))
        frames += [plain, seal.wrap(Outgoing(plain, None), 0.0).frame]
    return frames


def test_a_stranger_never_registers_and_changes_and_reads_nothing() -> None:
    def enough(manager: TaskManager, stranger: Stranger) -> bool:
        seen = manager.dropped
        return (
            len(stranger.heard) > 3
            and seen.get("unsealed", 0) > 5
            and seen.get("wrong_secret", 0) > 5
        )

    manager, stranger, _ = asyncio.run(run_beside(forged, enough))
    assert set(manager.board.workers) == {"Ada"}
    assert [result.success for result in manager.task_results] == [True]
    assert manager.dropped["garbage"] > 0
    for frame in stranger.heard:
        with pytest.raises(DecodeError):
            decode_frame(frame)
        assert b"Ada" not in frame


@pytest.mark.slow
def test_who_replays_all_frames_to_the_manager_and_to_one_started_later_changes_nothing() -> None:
    secret = fresh_secret()

    def replayed_at_once(stranger: Stranger) -> list[bytes]:
        return stranger.heard[:200]

    async def go() -> None:
        manager, stranger, happened = await run_beside(
            replayed_at_once, lambda it, _: it.dropped.get("replayed", 0) > 20, secret
        )
        recorded = list(stranger.heard)
        later, _, happened_later = await run_beside(
            lambda _: recorded[:200],
            lambda it, _: it.dropped.get("stale_session", 0) > 20,
            secret,
        )
        for each in (manager, later):
            assert set(each.board.workers) == {"Ada"}
            assert [result.success for result in each.task_results] == [True]
            assert set(each.dropped) <= {"replayed", "stale_session"}
        assert happened == happened_later

    asyncio.run(go())


def test_the_tutorials_agents_are_sealed_with_no_change() -> None:
    async def go() -> None:
        manager = TaskManager([Task(id=1, description="x", difficulty=1)], 2, port=0, quiet=True)
        workers = [
            WorkerAgent(name, 5, time_scale=0.01, admin_peer=manager.details().id)
            for name in ("Junior", "Senior")
        ]
        stranger = Stranger(manager.ticket(), lambda _: [])
        await asyncio.wait_for(manager.start_agent(b"", [stranger, *workers]), DEADLINE_S)
        assert len(manager.task_results) == 1
        assert stranger.heard
        assert all(frame.startswith(b"N.\x03") for frame in stranger.heard)

    asyncio.run(go())


def test_a_worker_that_starts_by_itself_in_the_same_process_is_sealed_too() -> None:
    async def go() -> None:
        manager = TaskManager([Task(id=1, description="x", difficulty=1)], 1, port=0, quiet=True)
        ticket = manager.ticket(with_secret=False)
        worker = WorkerAgent(
            "Ada",
            5,
            ticket.workspace_id,
            manager.details().id,
            port=ticket.port,
            time_scale=0.01,
        )
        together = asyncio.gather(manager.start_agent(), worker.start_agent())
        await asyncio.wait_for(together, DEADLINE_S)
        assert [result.worker for result in manager.task_results] == ["Ada"]

    asyncio.run(go())
