"""A manager's clients: programs elsewhere that submit tasks, take results and ask questions."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from functools import partial

from pydantic import BaseModel

from ...messages import (
    AwaitTasks,
    BacklogFull,
    ClientHello,
    EncodeError,
    Goodbye,
    Heartbeat,
    ManagerReply,
    ManagerRequest,
    MusterError,
    Refusal,
    Shutdown,
    SubmitTasks,
    TaskId,
    TaskResult,
    UnknownPeer,
    Welcome,
    encode_message,
)
from ..blobs.manager_offload import ManagerOffload
from ..runtime.clock import now
from ..runtime.log import log
from ..submission.result_source import Outcome, Settle
from ..transport.lane_router import LaneRouter
from .awaited_results import AwaitedResults
from .board_driver import BoardDriver
from .client_transfers import ClientTransfers
from .outgoing import ACKNOWLEDGE_WITHIN_S
from .part_replies import PartReplies
from .request_answers import RequestAnswers, refusal, task_id_in
from .settled_tasks import SettledTasks
from .task_parts import TaskParts

MAX_CLIENTS = 1_000
"""How many clients may be connected at the same time."""

MANY_TASKS = 100
"""After a submission of so many tasks, the client's next message waits for a turn of the loop:
the workers get tasks, and their results are recorded, in between."""

MAX_UNREAD = 100
"""How many messages of a client may wait."""

REPLY_WITHIN_S = 0.02
"""How long the reply to a submission may wait for a result, to share its frame: a frame more would
cost the client and the manager as much as the task. An acknowledgement waits as long."""


@dataclass(slots=True)
class _Client:
    """One client.

    Args:
        name: its name.
        session: its session.
        call: the number of its conversation within the session.
        admission: the number of the conversation at this manager.
        settle: sends it the outcome of a task.
        welcomed_at: when the conversation began, in seconds.
        awaiting: the tasks whose results it wants, and that are not settled.
        replies: its latest requests by number, with the replies.
        withheld: replies that are sent with the next message, or soon.
        unread: its messages that wait for the next turn of the loop.
        is_paused: whether its further messages wait.
    """

    name: str
    session: str
    call: int
    admission: int
    settle: Settle
    welcomed_at: float
    awaiting: set[TaskId] = field(default_factory=set)
    replies: OrderedDict[int, ManagerReply] = field(default_factory=OrderedDict)
    withheld: list[ManagerReply] = field(default_factory=list)
    unread: deque[BaseModel] = field(default_factory=deque)
    is_paused: bool = False


class Clients:
    """Serves the clients of one manager.

    A client is heard like a worker: it sends heartbeats, and is dropped when it is silent for too
    long. Its tasks stay: a client that comes back asks for their results by id.

    Args:
        driver: drives the board.
        awaited: tells the results of tasks.
        answers: answers the requests.
        parts: tells the parts of tasks.
        offload: reads and writes blobs.
    """

    def __init__(
        self,
        driver: BoardDriver,
        awaited: AwaitedResults,
        answers: RequestAnswers,
        parts: TaskParts,
        offload: ManagerOffload,
    ) -> None:
        self.transfers = ClientTransfers(
            offload,
            post=self._post,
            post_encoded=self._post_encoded,
            arrived=self.arrived,
            refuse=lambda address, number, fault: self._post(address, refusal(number, fault)),
        )
        """The large data of clients."""
        self._driver = driver
        self._awaited = awaited
        self._part_replies = PartReplies(parts, self._post)
        self._settled_tasks = SettledTasks(awaited.follow, self._post)
        self._router: LaneRouter | None = None
        self._manager_session = ""
        self._last_admission = 0
        # By address.
        self._clients: dict[str, _Client] = {}
        # Those to whom replies are withheld.
        self._withholding: set[str] = set()
        self._answers = answers

    def start(self, router: LaneRouter, session: str) -> None:
        """Serve clients from now on.

        Args:
            router: sends the messages.
            session: identifies this start of the manager.
        """
        self._router = router
        self._manager_session = session

    def has(self, address: str) -> bool:
        """Whether an address belongs to a client that has a conversation."""
        return address in self._clients

    # ------------------------------------------------------------------ conversations

    def hello(self, sender: str, hello: ClientHello) -> None:
        """Begin a conversation with a client, or welcome it again."""
        router = self._router
        if router is None:
            return
        client = self._clients.get(sender)
        if client is not None and (client.session, hello.call) < (hello.session, client.call):
            return
        allowed = self._driver.rules.allow
        reason = ""
        if allowed is not None and hello.name not in allowed:
            reason = f"this manager has no client called {hello.name!r}: `allow` does not name it"
        elif client is None and len(self._clients) >= MAX_CLIENTS:
            reason = f"{MAX_CLIENTS:,} clients are connected, which is the limit"
        if reason:
            router.post_datagram(sender, Refusal(worker_session=hello.session, reason=reason))
            return
        if client is None or (client.session, client.call) != (hello.session, hello.call):
            client = self._admit(sender, hello)
        rules = self._driver.rules
        welcome = Welcome(
            manager=self._driver.name,
            worker=hello.name,
            session=self._manager_session,
            admission=client.admission,
            worker_session=hello.session,
            worker_call=hello.call,
            heartbeat_s=rules.heartbeat_s,
            lost_after_s=rules.lost_after_s,
            blob_threshold_bytes=self.transfers.threshold_bytes,
        )
        router.post_datagram(sender, welcome, also_direct=True)

    def _admit(self, sender: str, hello: ClientHello) -> _Client:
        assert self._router is not None
        # The client may have another address than before; what it asked for is the same.
        replies: OrderedDict[int, ManagerReply] = OrderedDict()
        for address, former in tuple(self._clients.items()):
            if former.session == hello.session:
                replies = former.replies
                self._drop(address)
        self._last_admission += 1
        client = _Client(
            hello.name,
            hello.session,
            hello.call,
            self._last_admission,
            partial(self._settled, sender),
            now(),
            replies=replies,
        )
        self._clients[sender] = client
        conversation = f"{hello.session}.{hello.call}/{self._manager_session}/{client.admission}"
        self._router.open(sender, conversation)
        log.info("a client joined", manager=self._driver.name, client=hello.name)
        return client

    def drop_silent(self) -> None:
        """Drop the clients that have been silent for as long as a worker is lost after."""
        if not self._clients or self._router is None:
            return
        since = now() - self._driver.rules.lost_after_s
        for address, client in tuple(self._clients.items()):
            heard_at = self._router.last_received_at(address) or client.welcomed_at
            if max(heard_at, client.welcomed_at) < since:
                log.info("a client is silent", manager=self._driver.name, client=client.name)
                self._drop(address)

    def dismiss(self, reason: str) -> None:
        """Tell all clients that the run has ended."""
        self.post_to_all(Shutdown(reason=reason))

    def post_to_all(self, message: BaseModel) -> None:
        """Send a message to all clients."""
        for address in tuple(self._clients):
            self._post(address, message)

    def _drop(self, address: str) -> None:
        self._forget(address)
        self._close(address)

    def _forget(self, address: str) -> None:
        self._part_replies.drop(address)
        self._settled_tasks.drop(address)
        self.transfers.drop(address)
        client = self._clients.pop(address, None)
        if client is not None:
            self._awaited.stop_waiting(client.awaiting, client.settle)

    def _close(self, address: str) -> None:
        if self._router is not None and address not in self._clients:
            self._router.close(address)

    # ------------------------------------------------------------------ requests

    def arrived(self, sender: str, message: BaseModel) -> None:
        """Take a message of a client, if it is still there."""
        client = self._clients.get(sender)
        if client is None:
            return
        client.unread.append(message)
        if not client.is_paused or len(client.unread) >= MAX_UNREAD:
            self._read(sender, client)

    def _read(self, sender: str, client: _Client) -> None:
        """Take a client's messages up to one that takes long, which workers are not to wait for."""
        client.is_paused = False
        while client.unread and not client.is_paused and self._clients.get(sender) is client:
            message = client.unread.popleft()
            is_long = isinstance(message, SubmitTasks) and len(message.tasks) >= MANY_TASKS
            client.is_paused = True
            try:
                self._take(sender, client, message)
                client.is_paused = is_long
            finally:
                # Also after one that raises.
                if client.is_paused:
                    asyncio.get_running_loop().call_soon(self._read, sender, client)

    def _take(self, sender: str, client: _Client, message: BaseModel) -> None:
        match message:
            case ManagerRequest(method="read_parts" | "settled"):
                self._reply_in_time(sender, message)
            case SubmitTasks() | AwaitTasks() | ManagerRequest():
                reply = self._answers.answer(client, message)
                waits = isinstance(message, SubmitTasks) and message.wants_results
                if waits and client.awaiting and not reply.error_kind:
                    self._withhold(sender, client, reply)
                else:
                    self._post(sender, reply)
            case Goodbye():
                self._forget(sender)
                asyncio.get_running_loop().call_later(ACKNOWLEDGE_WITHIN_S, self._close, sender)
            case Heartbeat():
                # It has done what it is for by its arrival.
                pass
            case _:
                self.transfers.arrived(sender, message)

    def _reply_in_time(self, sender: str, request: ManagerRequest) -> None:
        """Reply to what may have no answer yet; these replies are not kept to be repeated."""
        try:
            if request.method == "settled":
                self._settled_tasks.take(sender, request)
                return
            self._part_replies.take(sender, request, task_id_in(request.arguments))
        except MusterError as fault:
            self._post(sender, refusal(request.number, fault))

    def _settled(self, address: str, task_id: TaskId, outcome: Outcome) -> None:
        client = self._clients.get(address)
        # The end of the run is told by `dismiss`.
        if client is None or not isinstance(outcome, TaskResult):
            return
        client.awaiting.discard(task_id)
        if not self.transfers.take_large(address, outcome):
            self._post(address, outcome)

    def _withhold(self, address: str, client: _Client, reply: ManagerReply) -> None:
        client.withheld.append(reply)
        if not self._withholding:
            asyncio.get_running_loop().call_later(REPLY_WITHIN_S, self._send_withheld)
        self._withholding.add(address)

    def _send_withheld(self) -> None:
        addresses, self._withholding = self._withholding, set()
        for address in addresses:
            client = self._clients.get(address)
            if client is not None:
                self._send_withheld_to(address, client)

    def _send_withheld_to(self, address: str, client: _Client) -> None:
        replies, client.withheld = client.withheld, []
        for reply in replies:
            self._post(address, reply)

    def _post(self, address: str, message: BaseModel) -> None:
        client = self._clients.get(address)
        if client is not None and client.withheld:
            self._send_withheld_to(address, client)
        try:
            encoded = encode_message(message)
        except EncodeError as fault:
            if isinstance(message, TaskResult):
                error = f"EncodeError: {fault}"
                update = {"success": False, "output": None, "error_message": error}
                self._post(address, message.model_copy(update=update))
            return
        if isinstance(message, TaskResult) and self.transfers.take_encoded(
            address, message, encoded
        ):
            return
        self._post_encoded(address, encoded)

    def _post_encoded(self, address: str, message: bytes) -> None:
        assert self._router is not None
        try:
            self._router.post_encoded(address, message)
        except UnknownPeer:
            # It has left; if it is still there, it asks again.
            self._forget(address)
        except BacklogFull:
            log.warning("a client does not receive: its send queue is full", address=address)
            # It will ask again, and then for what it has not got.
            asyncio.get_running_loop().call_soon(self._drop, address)
