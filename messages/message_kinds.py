"""Muster's own messages by their names on the wire."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from .client import AwaitTasks, ClientHello, ManagerReply, ManagerRequest, SubmitTasks
from .functions import WorkerFunctions
from .membership import Goodbye, Heartbeat, Hello, ManagerReplaced, Refusal, Shutdown, Welcome
from .parcel import (
    BlobPlace,
    BlobsReached,
    BlobsWanted,
    Parcel,
    RequestParcel,
    ResultRecorded,
)
from .pieces import MessagePiece, PieceTaken
from .streaming import PartsTaken, TaskPart
from .work import (
    AskAboutAttempts,
    AttemptResumed,
    AttemptSuspended,
    CancelTask,
    ChangeGrant,
    RecallTasks,
    ReturnTasks,
    TaskAssignment,
    TaskProgress,
    TaskResult,
)

MESSAGE_KINDS: Mapping[str, type[BaseModel]] = {
    kind.__name__: kind
    for kind in (
        TaskAssignment,
        TaskResult,
        TaskProgress,
        AttemptSuspended,
        AttemptResumed,
        ChangeGrant,
        CancelTask,
        RecallTasks,
        ReturnTasks,
        AskAboutAttempts,
        Hello,
        WorkerFunctions,
        Welcome,
        Refusal,
        Heartbeat,
        Goodbye,
        Shutdown,
        ManagerReplaced,
        Parcel,
        BlobPlace,
        BlobsWanted,
        BlobsReached,
        ResultRecorded,
        ClientHello,
        SubmitTasks,
        AwaitTasks,
        ManagerRequest,
        ManagerReply,
        TaskPart,
        PartsTaken,
        RequestParcel,
        MessagePiece,
        PieceTaken,
    )
}
"""Muster's own messages by their names on the wire."""
