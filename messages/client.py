"""The requests to a manager of clients, and of the handlers that workers run."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from .task import Payload, TaskId
from .work import Message, Name

MAX_TASKS_AT_ONCE = 10_000
"""How many tasks or task ids one message of a client may contain."""

ManagerMethod: TypeAlias = Literal[
    "answer",
    "ask_person",
    "cancel",
    "diagram",
    "drain",
    "find",
    "hand_over",
    "managers",
    "pause",
    "questions",
    "read_parts",
    "report",
    "resume",
    "retry",
    "schedules",
    "set_priority",
    "settled",
    "skills",
    "state",
    "status",
    "task_types",
    "why",
    "workers",
]
"""What a client may ask of a manager."""

_Number = Annotated[int, Field(ge=1)]


class ClientHello(Message):
    """A client asks for a conversation; it repeats this until it receives a `Welcome`.

    Args:
        name: the client's name.
        session: the client's session id, new at each start of the client.
        call: a counter within the session that increases with each conversation asked for; a lower
            one is outdated.
    """

    name: Name
    session: str = Field(max_length=64)
    call: int = Field(default=1, ge=1)


class SubmitTasks(Message):
    """A client or a handler adds tasks; all are added, or none.

    Args:
        number: the number of the request; a repeated request has the same one.
        tasks: the encoded tasks.
        asked_by: the attempt whose handler adds them, as task id and number; None for a client.
        wants_results: whether the results are to be sent. The reply may then wait for one of them,
            to share its frame.
    """

    number: _Number
    tasks: tuple[bytes, ...] = Field(max_length=MAX_TASKS_AT_ONCE)
    asked_by: tuple[TaskId, int] | None = None
    wants_results: bool = True


class AwaitTasks(Message):
    """A client or a worker wants the results of tasks that were added before.

    The reply has the ids of those that the manager does not know.

    Args:
        number: the number of the request.
        task_ids: the tasks.
    """

    number: _Number
    task_ids: tuple[TaskId, ...] = Field(max_length=MAX_TASKS_AT_ONCE)


class ManagerRequest(Message):
    """A client or a handler asks a manager to do or to tell something.

    Args:
        number: the number of the request.
        method: what it asks for.
        arguments: the arguments of the method by name.
        asked_by: the attempt whose handler asks, as task id and number; None for a client.
    """

    number: _Number
    method: ManagerMethod
    arguments: dict[str, Payload] = Field(default_factory=dict)
    asked_by: tuple[TaskId, int] | None = None


class ManagerReply(Message):
    """The manager's reply to a request of a client or a worker.

    Args:
        number: the number of the request.
        value: what it returns.
        error_kind: the class of the error that it raises; "" for none.
        error: the text of the error.
    """

    number: _Number
    value: Payload = None
    error_kind: str = Field(default="", max_length=100)
    error: str = ""
