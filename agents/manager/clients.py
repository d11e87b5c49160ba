"""A manager's clients: programs elsewhere that submit tasks, take results and ask questions."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

from ...messages import (
    AwaitTasks,
    BacklogFull,
    ClientHello,
    DecodeError,
    EncodeError,
    Goodbye,
    InvalidInput,
    InvalidTask,
    ManagerReply,
    ManagerRequest,
    MusterError,
    Payload,
    Refusal,
    ResultForgotten,
    RunEnded,
    Shutdown,
    SubmitTasks,
    TaskId,
    TaskResult,
    TaskStatus,
    UnknownName,
    UnknownTask,
    Welcome,
    encode_message,
)
from ...messages.codec import decode_task
from ...messages.wording import show
from ..runtime.clock import now, wall_now
from ..runtime.log import log
from ..schedules.listing import list_schedules
from ..submission.result_source import Outcome, Settle
from ..transport.lane_router import LaneRouter
from .awaited_results import AwaitedResults
from .board_driver import BoardDriver

MAX_CLIENTS = 1_000
"""How many clients may be connected at the same time."""

REPLY_WITHIN_S = 0.002
"""How long the reply to a submission may wait for a result, to share its frame: a frame more would
cost the client and the manager as much as the task."""

KEPT_REPLIES = 1_000
"""How many replies are kept for a client that repeats requests after its connection was lost."""

Method: TypeAlias = Callable[[Mapping[str, Payload]], Payload]


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


class Clients:
    """Serves the clients of one manager.

    A client is heard like a worker: it sends heartbeats, and is dropped when it is silent for too
    long. Its tasks stay: a client that comes back asks for their results by id.

    Args:
        driver: drives the board.
        awaited: adds tasks, and tells their results.
    """

    def __init__(self, driver: BoardDriver, awaited: AwaitedResults) -> None:
        self._driver = driver
        self._awaited = awaited
        self._router: LaneRouter | None = None
        self._manager_session = ""
        self._last_admission = 0
        # By address.
        self._clients: dict[str, _Client] = {}
        # Those to whom replies are withheld.
        self._withholding: set[str] = set()
        self._methods: Mapping[str, Method] = {
            "cancel": self._cancel,
            "drain": self._drain,
            "pause": self._pause,
            "resume": self._resume,
            "retry": self._retry,
            "schedules": self._schedules,
            "set_priority": self._set_priority,
            "status": self._status,
            "why": self._why,
            "workers": self._workers,
        }

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
        for address in self._clients:
            self._post(address, Shutdown(reason=reason))

    def _drop(self, address: str) -> None:
        client = self._clients.pop(address, None)
        if client is not None:
            self._awaited.stop_waiting(client.awaiting, client.settle)
        if self._router is not None:
            self._router.close(address)

    # ------------------------------------------------------------------ requests

    def arrived(self, sender: str, message: BaseModel) -> None:
        """Take a message of a client."""
        client = self._clients[sender]
        match message:
            case SubmitTasks() | AwaitTasks() | ManagerRequest():
                reply = client.replies.get(message.number)
                if reply is None:
                    reply = self._answer(client, message)
                    client.replies[message.number] = reply
                    if len(client.replies) > KEPT_REPLIES:
                        client.replies.popitem(last=False)
                if isinstance(message, SubmitTasks) and client.awaiting and not reply.error_kind:
                    self._withhold(sender, client, reply)
                else:
                    self._post(sender, reply)
            case Goodbye():
                self._drop(sender)
            case _:
                # A heartbeat has done what it is for by its arrival.
                pass

    def _answer(
        self, client: _Client, request: SubmitTasks | AwaitTasks | ManagerRequest
    ) -> ManagerReply:
        try:
            match request:
                case SubmitTasks():
                    value: Payload = self._submit(client, request)
                case AwaitTasks():
                    value = self._await(client, request.task_ids)
                case ManagerRequest():
                    value = self._methods[request.method](request.arguments)
        except MusterError as fault:
            return ManagerReply(
                number=request.number, error_kind=type(fault).__name__, error=str(fault)
            )
        return ManagerReply(number=request.number, value=value)

    def _submit(self, client: _Client, request: SubmitTasks) -> None:
        board = self._driver.board
        if board.has_ended and not board.is_suspended:
            raise RunEnded("the run has ended; no further tasks can be submitted")
        try:
            tasks = [decode_task(packed) for packed in request.tasks]
        except DecodeError as fault:
            raise InvalidTask(
                f"the manager can't read a task: {fault.detail}; a class of tasks must be imported "
                "by the manager too"
            ) from None
        self._driver.add_tasks(tasks)
        self._await(client, [task.id for task in tasks])

    def _await(self, client: _Client, task_ids: Iterable[TaskId]) -> list[Payload]:
        client.awaiting.update(task_ids)
        unknown = self._awaited.wait_for(task_ids, client.settle)
        client.awaiting.difference_update(unknown)
        return [self._describe_unknown(task_id) for task_id in unknown]

    def _describe_unknown(self, task_id: TaskId) -> list[Payload]:
        """Why there is no result of a task, as its id and an error's class and text."""
        board = self._driver.board
        try:
            board.find(task_id)
        except ResultForgotten as fault:
            return [task_id, type(fault).__name__, str(fault)]
        except UnknownTask as fault:
            kept = board.retention.describe()
            return [task_id, type(fault).__name__, f"{fault}; {kept}" if kept else str(fault)]
        return [task_id, UnknownTask.__name__, f"there is no result of task {task_id!r}"]

    def _settled(self, address: str, task_id: TaskId, outcome: Outcome) -> None:
        client = self._clients.get(address)
        # The end of the run is told by `dismiss`.
        if client is None or not isinstance(outcome, TaskResult):
            return
        client.awaiting.discard(task_id)
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
        assert self._router is not None
        try:
            self._router.post_encoded(address, encode_message(message))
        except BacklogFull:
            log.warning("a client does not receive: its send queue is full", address=address)
            # It will ask again, and then for what it has not got.
            asyncio.get_running_loop().call_soon(self._drop, address)
        except EncodeError as fault:
            if isinstance(message, TaskResult):
                error = f"EncodeError: {fault}"
                update = {"success": False, "output": None, "error_message": error}
                self._post(address, message.model_copy(update=update))

    # ------------------------------------------------------------------ methods

    def _cancel(self, arguments: Mapping[str, Payload]) -> None:
        self._driver.cancel(_task_id(arguments), str(arguments.get("reason", "by a client")))

    def _retry(self, arguments: Mapping[str, Payload]) -> list[Payload]:
        task_ids: object = arguments.get("task_ids")
        reason = str(arguments.get("reason", "by a client"))
        if task_ids is None:
            return [*self._driver.retry(None, reason)]
        if not isinstance(task_ids, list | tuple):
            raise InvalidInput(f"task_ids is {show(task_ids)}; it must be a list of ids, or None")
        given = cast("Sequence[Payload]", task_ids)
        return [*self._driver.retry(tuple(_task_id({"task_id": each}) for each in given), reason)]

    def _set_priority(self, arguments: Mapping[str, Payload]) -> None:
        priority: object = arguments.get("priority")
        if type(priority) is not int:
            raise InvalidInput(f"priority is {show(priority)}; it must be an integer")
        self._driver.set_priority(_task_id(arguments), priority)

    def _drain(self, arguments: Mapping[str, Payload]) -> int:
        name = _worker_name(arguments)
        leaves = arguments.get("leaves", True) is not False
        with _naming_workers():
            self._driver.drain(name, leaves=leaves)
        return len(self._driver.board.workers[name].running)

    def _pause(self, _: Mapping[str, Payload]) -> int:
        self._driver.pause()
        return sum(len(each.running) for each in self._driver.board.workers.values())

    def _resume(self, arguments: Mapping[str, Payload]) -> None:
        if arguments.get("worker") is None:
            self._driver.end_pause()
            return
        with _naming_workers():
            self._driver.end_drain(_worker_name(arguments))

    def _why(self, arguments: Mapping[str, Payload]) -> list[str]:
        return list(self._driver.board.explain(_task_id(arguments)).lines())

    def _status(self, arguments: Mapping[str, Payload]) -> dict[str, int] | str:
        board = self._driver.board
        if "task_id" in arguments:
            return board.find(_task_id(arguments)).status.value
        return {status.value: board.counts[status] for status in TaskStatus}

    def _schedules(self, _: Mapping[str, Payload]) -> list[dict[str, Payload]]:
        return [dict(each) for each in list_schedules(self._driver.board, wall_now())]

    def _workers(self, _: Mapping[str, Payload]) -> list[dict[str, Payload]]:
        return [
            {
                "name": worker.name,
                "connected": worker.alive,
                "draining": worker.drain is not None,
                "skill_level": worker.skill_level,
                "slots": worker.slots,
                "running": len(worker.running),
                "completed": worker.stats.completed_tasks,
                "succeeded": worker.stats.successful_tasks,
            }
            for worker in self._driver.board.workers.values()
        ]


def _worker_name(arguments: Mapping[str, Payload]) -> str:
    name: object = arguments.get("worker")
    if not isinstance(name, str):
        raise InvalidInput(f"worker is {show(name)}; it must be the name of a worker")
    return name


@contextmanager
def _naming_workers() -> Generator[None, None, None]:
    """Raise an unknown worker as an error that a client can make of its text."""
    try:
        yield
    except UnknownName as fault:
        raise InvalidInput(str(fault)) from None


def _task_id(arguments: Mapping[str, Payload]) -> TaskId:
    try:
        return _TASK_ID.validate_python(arguments.get("task_id"))
    except ValidationError:
        raise InvalidInput(
            f"task_id is {show(arguments.get('task_id'))}; it must be an integer above 0, or text "
            "of 1 to 200 characters that is not blank"
        ) from None


_TASK_ID: TypeAdapter[TaskId] = TypeAdapter(TaskId)
