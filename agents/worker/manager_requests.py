"""A member's requests to its manager and the results it waits for, which outlive connections."""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol, TypeAlias, cast

from ... import messages
from ...messages import (
    MAX_TASKS_AT_ONCE,
    AwaitTasks,
    BacklogFull,
    EncodeError,
    LocalError,
    ManagerReply,
    ManagerRequest,
    MusterError,
    Payload,
    SubmitTasks,
    TaskId,
    UnknownTask,
    encode_message,
)
from ...messages.client import ManagerMethod
from ..submission.result_source import Outcome, Settle
from ..transport.endpoint import Endpoint

RESEND_AFTER_S = 0.05
"""How long a member waits before it sends more to a manager that has not read the last yet."""

AttemptKey: TypeAlias = tuple[TaskId, int]
Request: TypeAlias = SubmitTasks | AwaitTasks | ManagerRequest
Replied: TypeAlias = Callable[[Payload | MusterError], None]


class RequestSession(Protocol):
    """The attributes of a manager session that decide whether requests can be sent."""

    endpoint: Endpoint

    @property
    def manager(self) -> str | None:
        """The manager's address; None while there is no conversation."""
        ...

    @property
    def is_member(self) -> bool:
        """Whether a manager has accepted this member, and answers."""
        ...


class RequestCarrier(Protocol):
    """Sends large requests another way than in a frame."""

    def is_large(self, message: bytes) -> bool:
        """Whether an encoded request is for it."""
        ...

    def carry(self, number: int, message: bytes) -> None:
        """Send a request in the current conversation.

        Args:
            number: its number.
            message: the encoded request.
        """
        ...


class ManagerRequests:
    """The requests of one client or worker, and the tasks whose results it waits for.

    Each request is repeated until a reply arrives, also after the connection or the manager was
    lost, and has one effect. The results of tasks that were added are asked for again.

    Args:
        carrier: sends large requests; None sends all of them in frames.
    """

    def __init__(self, carrier: RequestCarrier | None = None) -> None:
        self._carrier = carrier
        # The large request that has no reply yet. Those after it wait: they may be about its tasks.
        self._carried: int | None = None
        self._session: RequestSession | None = None
        self._numbers = itertools.count(1)
        # Requests without a reply, in the order of their numbers.
        self._requests: dict[int, tuple[bytes, Replied]] = {}
        # The first of a dict from which many were taken is found only after a search.
        self._unsent: OrderedDict[int, None] = OrderedDict()
        self._waiting: dict[TaskId, tuple[Settle, ...]] = {}
        # The tasks that the manager is known to have.
        self._added: set[TaskId] = set()
        self.fault: MusterError | None = None
        """Why no more results will come; None while some may."""

    # ------------------------------------------------------------------ tasks and results

    @property
    def waiting_count(self) -> int:
        """How many tasks are waited for."""
        return len(self._waiting)

    def add(
        self,
        task_ids: Sequence[TaskId],
        packed: tuple[bytes, ...],
        settle: Settle,
        asked_by: AttemptKey | None = None,
    ) -> None:
        """Submit tasks; what the manager says against them is their outcome.

        Args:
            task_ids: their ids.
            packed: the encoded tasks.
            settle: called with the outcome of each.
            asked_by: the attempt whose handler submits them; None for a client.
        """
        if self.fault is not None:
            _settle_all(task_ids, self.fault, settle)
            return
        for task_id in task_ids:
            self._wait(task_id, settle)
        request = SubmitTasks(number=next(self._numbers), tasks=packed, asked_by=asked_by)
        self._request(request, partial(self._submitted, task_ids, settle))

    def add_only(self, packed: tuple[bytes, ...], replied: Replied) -> None:
        """Submit tasks whose results are not wanted; `replied` is called when they are added."""
        self._request(
            SubmitTasks(number=next(self._numbers), tasks=packed, wants_results=False), replied
        )

    def wait_for(self, task_ids: Sequence[TaskId], settle: Settle) -> None:
        """Call a function with the outcome of tasks that were submitted before."""
        if self.fault is not None:
            _settle_all(task_ids, self.fault, settle)
            return
        for task_id in task_ids:
            self._wait(task_id, settle)
        self._await(task_ids)

    def stop_waiting(self, task_ids: Iterable[TaskId], settle: Settle) -> None:
        """Do not call a function any more with the outcome of tasks."""
        for task_id in task_ids:
            self._stop_waiting(task_id, settle)

    def ask(
        self,
        method: ManagerMethod,
        arguments: dict[str, Payload],
        replied: Replied,
        asked_by: AttemptKey | None = None,
    ) -> None:
        """Ask the manager for something.

        Args:
            method: what.
            arguments: the arguments of the method by name.
            replied: called with the reply, or the error.
            asked_by: the attempt whose handler asks; None for a client.
        """
        number = next(self._numbers)
        self._request(
            ManagerRequest(number=number, method=method, arguments=arguments, asked_by=asked_by),
            replied,
        )

    def _submitted(
        self,
        task_ids: Sequence[TaskId],
        settle: Settle,
        reply: Payload | MusterError,
    ) -> None:
        if isinstance(reply, MusterError):
            for task_id in task_ids:
                self._stop_waiting(task_id, settle)
            _settle_all(task_ids, reply, settle)
        else:
            # Some may be settled already.
            self._added.update(task_id for task_id in task_ids if task_id in self._waiting)

    def _await(self, task_ids: Sequence[TaskId]) -> None:
        for start in range(0, len(task_ids), MAX_TASKS_AT_ONCE):
            part = tuple(task_ids[start : start + MAX_TASKS_AT_ONCE])
            request = AwaitTasks(number=next(self._numbers), task_ids=part)
            self._request(request, partial(self._awaited, part))

    def ask_again(self, task_id: TaskId) -> None:
        """Ask for the result of a task that is settled, since what arrived could not be read."""
        self._await((task_id,))

    def _awaited(self, task_ids: Sequence[TaskId], reply: Payload | MusterError) -> None:
        if isinstance(reply, MusterError):
            for task_id in task_ids:
                self.take(task_id, reply)
            return
        unknown = dict(map(_read_unknown, reply))
        for task_id in task_ids:
            if task_id in unknown:
                self.take(task_id, unknown[task_id])
            elif task_id in self._waiting:
                self._added.add(task_id)

    def _wait(self, task_id: TaskId, settle: Settle) -> None:
        self._waiting[task_id] = (*self._waiting.get(task_id, ()), settle)

    def _stop_waiting(self, task_id: TaskId, settle: Settle) -> None:
        left = list(self._waiting.pop(task_id, ()))
        if settle in left:
            left.remove(settle)
        if left:
            self._waiting[task_id] = tuple(left)
        else:
            self._added.discard(task_id)

    def take(self, task_id: TaskId, outcome: Outcome) -> None:
        """Take the outcome of a task."""
        self._added.discard(task_id)
        for settle in self._waiting.pop(task_id, ()):
            settle(task_id, outcome)

    # ------------------------------------------------------------------ requests

    def _request(self, request: Request, replied: Replied) -> None:
        if self.fault is not None:
            replied(self.fault)
            return
        try:
            message = encode_message(request)
        except EncodeError as fault:
            replied(fault)
            return
        self._requests[request.number] = message, replied
        self._unsent[request.number] = None
        self.send()

    def send(self) -> None:
        """Send the requests that wait, as far as there is room."""
        session = self._session
        if session is None or not session.is_member or session.manager is None:
            return
        while self._unsent and self._carried is None:
            number = next(iter(self._unsent))
            message = self._requests[number][0]
            if self._carrier is not None and self._carrier.is_large(message):
                self._carried = number
                del self._unsent[number]
                self._carrier.carry(number, message)
                return
            try:
                session.endpoint.post_encoded(session.manager, message)
            except BacklogFull:
                asyncio.get_running_loop().call_later(RESEND_AFTER_S, self.send)
                return
            del self._unsent[number]

    def replied(self, reply: ManagerReply) -> None:
        """Take the reply to a request."""
        _, replied = self._requests.pop(reply.number, (b"", None))
        self._unsent.pop(reply.number, None)
        if reply.number == self._carried:
            self._carried = None
            self.send()
        if replied is not None:
            replied(_error_of(reply.error_kind, reply.error) if reply.error_kind else reply.value)

    # ------------------------------------------------------------------ connections

    def resume(self, session: RequestSession) -> None:
        """Send all that has no reply by a new conversation, and ask for results again."""
        self._session = session
        self._carried = None
        self._unsent = OrderedDict.fromkeys(self._requests)
        if self._added:
            self._await(tuple(self._added))
        self.send()

    def end(self, fault: MusterError) -> None:
        """Tell all who wait that no more results will come."""
        self.fault = fault
        for task_id in tuple(self._waiting):
            self.take(task_id, fault)
        requests, self._requests = self._requests, {}
        for _, replied in requests.values():
            replied(fault)


def _settle_all(task_ids: Iterable[TaskId], outcome: Outcome, settle: Settle) -> None:
    for task_id in task_ids:
        settle(task_id, outcome)


def _error_of(kind_name: str, text: str) -> MusterError:
    """The error that a reply tells of, of the manager's own class if it can be made of a text."""
    kind: object = getattr(messages, kind_name, None)
    if isinstance(kind, type) and issubclass(kind, MusterError):
        try:
            fault = kind(text)
        except TypeError:
            pass
        else:
            if str(fault) == text:
                return fault
    return LocalError(f"{kind_name}: {text}")


def _read_unknown(entry: Payload) -> tuple[TaskId, MusterError]:
    """A task whose result can't be had, and why.

    Args:
        entry: the task's id alone, as older managers send it, or with the error's class and text.
    """
    if isinstance(entry, list | tuple):
        task_id, kind_name, text = cast("tuple[TaskId, str, str]", entry)
        return task_id, _error_of(kind_name, text)
    return entry, UnknownTask(f"the manager has no task {entry!r}")
