"""The messages about large data, which is stored in blobs instead of frames."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from .task import TaskId
from .work import Message, Name, Note

BLOB_NAME_PATTERN = r"[0-9a-f]{64}(-[0-9a-f]{16})?"
"""A blob's name: the hash of its content, optionally with the id of the copy's owner. A path never
matches this pattern."""

MAX_CUTS = 100_000
MAX_URL_CHARACTERS = 4_096

BlobName = Annotated[str, StringConstraints(pattern=rf"^{BLOB_NAME_PATTERN}$")]
"""The name of a blob, which also serves to check its content."""


class Parcel(Message):
    """A `TaskAssignment` or `TaskResult` whose large values are in blobs.

    Args:
        task_id: the task's id.
        attempt: the number of the attempt, from 1.
        worker: the name of the worker that receives or sends it.
        skeleton: the encoded message without the large values.
        cuts: for each removed value, its position in the skeleton and its blob, in order.
    """

    task_id: TaskId
    attempt: int = Field(default=1, ge=1)
    worker: Name
    skeleton: bytes
    cuts: tuple[tuple[Annotated[int, Field(ge=0)], BlobName], ...] = Field(
        min_length=1, max_length=MAX_CUTS
    )


class RequestParcel(Message):
    """A client's `SubmitTasks` whose tasks are in blobs.

    Args:
        number: the number of the request.
        skeleton: the encoded message without the large values.
        cuts: for each removed value, its position in the skeleton and its blob, in order.
    """

    number: int = Field(ge=1)
    skeleton: bytes
    cuts: tuple[tuple[Annotated[int, Field(ge=0)], BlobName], ...] = Field(
        min_length=1, max_length=MAX_CUTS
    )


class BlobPlace(Message):
    """The manager sends a worker or client the location of the blob store, which tries to open it.

    Args:
        url: the location; "" if there is none that this member could open.
        probe: a blob for the member to read as a test.
        reason: why the manager itself has no blob store, as text.
    """

    url: str = Field(default="", max_length=MAX_URL_CHARACTERS)
    probe: BlobName | None = None
    reason: Note = ""


class BlobsWanted(Message):
    """A worker with a large result, or a client with large tasks, asks where the blob store is."""


class BlobsReached(Message):
    """A worker or client reports whether it can use the blob store.

    Args:
        reached: whether it can; otherwise all data travels in frames or pieces.
        reason: why not, as text.
    """

    reached: bool
    reason: Note = ""


class ResultRecorded(Message):
    """The result of a parcel has been read, and its blobs are no longer needed.

    The manager says so to a worker when it has recorded the result, and a client to the manager.
    Until then the sender keeps it, because the arrival of a parcel does not show that its blobs
    could be read.

    Args:
        task_id: the task's id.
        attempt: the number of the attempt, from 1.
    """

    task_id: TaskId
    attempt: int = Field(default=1, ge=1)
