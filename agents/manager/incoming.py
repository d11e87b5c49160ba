"""Turns messages that arrive at a manager into events for its board."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel

from ...messages import (
    AttemptResumed,
    AttemptSuspended,
    AwaitTasks,
    BlobsReached,
    BlobsWanted,
    ClientHello,
    Goodbye,
    Heartbeat,
    Hello,
    ManagerRequest,
    Parcel,
    ReturnTasks,
    SubmitTasks,
    TaskPart,
    TaskProgress,
    WorkerProfile,
)
from ...messages.functions import WorkerFunctions
from ..kernel.model.events import (
    ProgressReported,
    ResumptionReported,
    SuspensionReported,
    TasksGivenBack,
    WorkerHeard,
    WorkerJoined,
    WorkerLeft,
)
from ..transport.lane_manager import LaneManager
from .board_driver import BoardDriver
from .clients import Clients
from .outgoing import OutgoingMessages
from .task_parts import TaskParts
from .worker_calls import WorkerCalls


class MessageHandlers(Protocol):
    """The user's handlers of messages."""

    def hand_to_handlers(self, message: BaseModel, sender: str) -> bool:
        """Pass a message of the user's own to the user's handlers; False if there are none."""
        ...


class Incoming:
    """Takes the messages that arrive at one manager, except its workers' results.

    Args:
        driver: drives the board.
        outgoing: answers, and knows who is admitted.
        handlers: take all other messages.
        clients: takes what clients send.
        parts: takes the parts of tasks.
        worker_calls: answers what the handlers of workers ask.
    """

    def __init__(
        self,
        driver: BoardDriver,
        outgoing: OutgoingMessages,
        handlers: MessageHandlers,
        clients: Clients,
        *,
        parts: TaskParts,
        worker_calls: WorkerCalls,
    ) -> None:
        self._driver = driver
        self._outgoing = outgoing
        self._offload = outgoing.offload
        self._handlers = handlers
        self._clients = clients
        self._parts = parts
        self._worker_calls = worker_calls
        self._lanes: LaneManager | None = None
        self.is_closed = False
        """Whether nobody may join any more, since another manager is about to lead."""

    def start(self, lanes: LaneManager | None) -> None:
        """Take messages from now on, on lanes if there are any."""
        self._lanes = lanes

    def arrived(self, sender: str, message: BaseModel) -> None:
        """Take a message.

        Args:
            sender: its sender's address.
            message: what arrived.
        """
        match message:
            case ClientHello() | Hello() if self.is_closed:
                pass
            case ClientHello():
                self._clients.hello(sender, message)
            case _ if self._clients.has(sender):
                self._clients.arrived(sender, message)
            case Heartbeat():
                self._driver.apply(WorkerHeard(sender, message.is_draining))
            case TaskProgress():
                self._driver.apply(ProgressReported(sender, message))
            case TaskPart():
                self._parts.arrived(sender, message)
            case AttemptSuspended():
                self._driver.apply(SuspensionReported(sender, message))
            case AttemptResumed():
                self._driver.apply(ResumptionReported(sender, message))
            case Hello():
                if self._lanes is not None:
                    self._lanes.note_seen(message.name, sender)
                self._driver.apply(_joined(sender, message))
            case WorkerFunctions():
                self._driver.functions.told(sender, message)
            case SubmitTasks() | AwaitTasks() | ManagerRequest():
                self._worker_calls.arrived(sender, message)
            case ReturnTasks():
                self._driver.apply(TasksGivenBack(sender, message.attempts))
            case Goodbye():
                left = WorkerLeft(sender, message.reason, is_orderly=True)
                self._outgoing.said_goodbye(sender)
                self._offload.after_reads(sender, lambda: self._driver.apply(left))
            case Parcel() if self._outgoing.is_admitted(sender):
                self._offload.receive(sender, message)
            case BlobsWanted() if self._outgoing.is_admitted(sender):
                self._offload.wanted(sender)
            case BlobsReached() if self._outgoing.is_admitted(sender):
                self._offload.reached(sender, message)
            case _:
                self._handlers.hand_to_handlers(message, sender)


def _joined(sender: str, hello: Hello) -> WorkerJoined:
    return WorkerJoined(
        worker_id=sender,
        profile=WorkerProfile.of(hello),
        session=hello.session,
        call=hello.call,
        holding=frozenset(hello.holding),
    )
