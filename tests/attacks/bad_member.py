"""A member that has the secret, and speaks in the names of others; what comes of it.

It joins as any worker could, reads what all say, and posts failed results, goodbyes and orders to
stop in the names of a worker and of the manager: by its own session, by theirs, unsigned as earlier
versions were, and by a direct connection that it asks for in the worker's name. Then it asks to be
let in as thousands. All is on loopback, in one process.

python tests/attacks/bad_member.py --quick
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable

from muster.agents import TaskManager, WorkerAgent
from muster.agents.kernel.board.join_limit import JOINS_AT_ONCE
from muster.agents.kernel.delivery.frame_seal import Outgoing
from muster.agents.kernel.discovery import DiscoveryCodec
from muster.agents.kernel.security.client_seal import ClientSeal
from muster.agents.kernel.security.identity import Identity
from muster.agents.kernel.security.sealed_frame import (
    UNSIGNED_VERSION,
    FrameKind,
    Header,
    KeyRing,
    read_header,
)
from muster.agents.kernel.security.workspace_secret import WorkspaceSecret
from muster.agents.security.sealing import fresh_identity
from muster.agents.security.ticket import Ticket
from muster.agents.transport.ceylon_agent import CeylonAgent
from muster.agents.transport.ceylon_api import PeerMode
from muster.agents.transport.discovery import request_direct_connection
from muster.messages import (
    DecodeError,
    Goodbye,
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
from target import Figures, show

DEADLINE_S = 60.0


class Patient(WorkerAgent):
    """A worker whose one task lasts until it is released."""

    def __init__(self, name: str, ticket: Ticket) -> None:
        super().__init__(name, 9, ticket=ticket)
        self.released = asyncio.Event()

    async def handle_task(self, data: TaskAssignment) -> bool:  # type: ignore[override]
        await self.released.wait()
        return True


class Member(CeylonAgent):
    """Joins a workspace with its secret, hears what is said, and says what it likes."""

    def __init__(self, ticket: Ticket) -> None:
        super().__init__(
            "mallory",
            PeerMode.CLIENT,
            "worker",
            workspace_id=ticket.workspace_id,
            port=ticket.port,
            admin_peer=ticket.peer_id,
            host=ticket.host,
        )
        assert ticket.secret is not None
        self.secret: WorkspaceSecret = ticket.secret
        self.identity: Identity = fresh_identity()
        self.seal = ClientSeal(self.secret, ticket.workspace_id, self.identity)
        self.keys = KeyRing(self.secret, ticket.workspace_id)
        self.manager_address = ticket.peer_id
        self.headers: dict[bytes, Header] = {}
        self.speakers: dict[bytes, str] = {}
        self.orders: asyncio.Queue[list[bytes]] = asyncio.Queue()

    async def serve(self) -> None:
        while self.seal._admission is None:
            probe = self.seal.wrap(Outgoing(encode_frame(Frame("mallory", ())), None), 0.0)
            await self.send(probe.frame)
            await asyncio.sleep(0.1)
        while True:
            for frame in await self.orders.get():
                await self.send(frame)

    def receive(self, frame: bytes) -> None:
        try:
            header = read_header(frame)
            if header.kind in {FrameKind.CLIENT, FrameKind.MANAGER}:
                self.headers[header.sender] = header
            opened = self.seal.unwrap(frame, time.monotonic())
            if opened is not None:
                self.speakers[header.sender] = decode_frame(opened.frame).sender
        except DecodeError:
            return

    def address_of(self, *others: str) -> str | None:
        """Where the worker is reached, as overheard; None if it has said nothing yet."""
        return next((it for it in self.speakers.values() if it not in others), None)

    def said(self, sender: str, to: str, *messages: object) -> bytes:
        letter = encode_letter(Datagram(tuple(encode_message(each) for each in messages)))  # type: ignore[arg-type]
        return encode_frame(Frame(sender, (Section(to, letter),)))

    def in_own_session(self, frame: bytes) -> bytes:
        return self.seal.wrap(Outgoing(frame, None), time.monotonic()).frame

    def in_session_of(self, address: str, frame: bytes, version: int) -> bytes | None:
        session = next((it for it, its in self.speakers.items() if its == address), None)
        if session is None:
            return None
        header = self.headers[session]
        counter = header.counter + 1_000 + secrets.randbelow(1_000)
        header = header._replace(counter=counter, version=version)
        return self.keys.key_for(header).seal(header, self.identity, frame)

    def report_fault(self, doing: str, fault: BaseException) -> None:
        raise AssertionError(doing) from fault

    def send_model(self, to: str, message: object) -> None:
        raise NotImplementedError


def forgeries(member: Member, worker: str, attempt: int) -> list[bytes]:
    """All that may be said in the names of others."""
    manager = member.manager_address
    result = TaskResult(
        task_id=1, worker="Ada", success=False, error_message="forged", attempt=attempt
    )
    plain = [
        (worker, member.said(worker, ANY_MANAGER, result, Goodbye(reason="forged"))),
        (worker, member.said(worker, manager, result, Goodbye(reason="forged"))),
        (manager, member.said(manager, EVERYONE, Shutdown(reason="forged"))),
        (manager, member.said(manager, worker, Shutdown(reason="forged"))),
    ]
    frames = [member.in_own_session(frame) for _, frame in plain]
    # As itself, too: nobody but the manager may say this.
    frames.append(member.in_own_session(member.said("mallory", worker, Shutdown(reason="forged"))))
    for name, frame in plain:
        for version in (3, UNSIGNED_VERSION):
            forged = member.in_session_of(name, frame, version)
            frames += [] if forged is None else [forged]
    return frames


class NoConnections:
    """Has the direct connection that a member gets in another's name, if it gets one."""

    def __init__(self) -> None:
        self.attached = 0

    def accepts_direct(self, peer: str, public_key: bytes) -> bool:
        return True

    def attach(self, peer: str, connection: object) -> None:
        self.attached += 1

    def detach(self, peer: str, connection: object) -> None:
        pass

    def receive_direct(self, peer: str, frame: bytes) -> None:
        pass

    def probe_link(self) -> None:
        pass


async def until(happens: Callable[[], bool], patience_s: float = DEADLINE_S) -> None:
    ends_at = time.monotonic() + patience_s
    while not happens():
        assert time.monotonic() < ends_at, "it did not happen in time"
        await asyncio.sleep(0.02)


async def suffer(rounds: int, crowd: int) -> dict[str, float]:
    """Let a member do its worst beside a worker with a task; what became of that, and of others."""
    task = Task(id=1, description="wait", timeout=10 * DEADLINE_S)
    manager = TaskManager([task], 1, port=0, quiet=True, lost_after_s=30, max_lanes=1)
    ticket = manager.ticket()
    worker, member = Patient("Ada", ticket), Member(ticket)
    managing = asyncio.ensure_future(manager.start_agent())
    lurking = asyncio.ensure_future(member.start_agent())
    await until(lambda: member.seal._admission is not None)
    working = asyncio.ensure_future(worker.start_agent())
    await until(lambda: worker.has_task)
    await until(lambda: member.address_of(member.manager_address) is not None)
    address = worker.address
    for _ in range(rounds):
        await member.orders.put(forgeries(member, address, attempt=1))
        await asyncio.sleep(0.1)
    holder = NoConnections()
    talk = DiscoveryCodec(member.secret, ticket.workspace_id, member.identity)
    for _ in range(3):
        connection = await request_direct_connection(
            ticket.host,
            ticket.port,
            talk,
            address=address,
            manager=ticket.peer_id,
            holder=holder,  # type: ignore[arg-type]
        )
        if connection is not None:
            connection.close()
    await until(lambda: all(it.dropped.get("forged_sender", 0) for it in (manager, worker)))
    forged_dropped = manager.dropped["forged_sender"]
    # Now as thousands, each with an address of its own in its own session.
    numbers = itertools.count()
    for _ in range(crowd // 100):
        frames = []
        for number in itertools.islice(numbers, 100):
            name = f"crowd{number}"
            hello = Hello(name=name, skill_level=0, session="s", task_types=())
            frames.append(member.in_own_session(member.said(name, ANY_MANAGER, hello)))
        await member.orders.put(frames)
        await asyncio.sleep(0.01)
    await until(member.orders.empty, 5 * DEADLINE_S)
    await asyncio.sleep(2.0)
    crowd_let_in = sum(name.startswith("crowd") for name in manager.board.workers)
    worker.released.set()
    await asyncio.wait_for(managing, DEADLINE_S)
    for future in (working, lurking):
        future.cancel()
    await asyncio.gather(working, lurking, return_exceptions=True)
    await member.stop()
    (result,) = manager.task_results
    return {
        "succeeded": float(result.success),
        "attempts": float(manager.board.tasks[1].attempt),
        "worker_was_told_to_stop": float(worker._shell.farewell == "forged"),
        "forged_dropped_by_manager": float(forged_dropped),
        "forged_dropped_by_worker": float(worker.dropped.get("forged_sender", 0)),
        "wires_in_anothers_name": float(holder.attached),
        "crowd": float(crowd),
        "crowd_let_in": float(crowd_let_in),
    }


def attack(*, quick: bool = False) -> Figures:
    """Let a member do its worst, and join as 3,000, or as 300."""
    told = asyncio.run(suffer(rounds=10, crowd=300 if quick else 3_000))
    return told | {"joins_at_once": float(JOINS_AT_ONCE)}


if __name__ == "__main__":
    show(attack)
