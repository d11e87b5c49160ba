"""What manager and worker say about large data that travels beside the frames, in blobs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from .task import TaskId
from .work import Message, Name, Note

BLOB_NAME_PATTERN = r"[0-9a-f]{64}(-[0-9a-f]{16})?"
"""A blob's name: the hash of its content, and perhaps whose copy it is. No path can look so."""

MAX_CUTS = 100_000
MAX_URL_CHARACTERS = 4_096

BlobName = Annotated[str, StringConstraints(pattern=rf"^{BLOB_NAME_PATTERN}$")]
"""The name of a blob, by which it is also found out whether its content is right."""


class Parcel(Message):
    """A `TaskAssignment` or `TaskResult` whose large values were cut out and put into blobs.

    Args:
        task_id: which task it is about.
        attempt: which attempt, from 1.
        worker: the name of the worker that it is meant for, or comes from.
        skeleton: what is left of the encoded message.
        cuts: where a value was cut out of it, from the front to the back, and the blob it is in.
    """

    task_id: TaskId
    attempt: int = Field(default=1, ge=1)
    worker: Name
    skeleton: bytes
    cuts: tuple[tuple[Annotated[int, Field(ge=0)], BlobName], ...] = Field(
        min_length=1, max_length=MAX_CUTS
    )


class BlobPlace(Message):
    """The manager tells a worker where blobs are kept, and the worker tries whether it gets there.

    Args:
        url: the place; "" if there is none that this worker could open.
        probe: a blob that can be read there.
        reason: why the manager itself gets to none, for people.
    """

    url: str = Field(default="", max_length=MAX_URL_CHARACTERS)
    probe: BlobName | None = None
    reason: Note = ""


class BlobsWanted(Message):
    """A worker with something large asks where blobs are kept."""


class BlobsReached(Message):
    """A worker tells whether it gets to the place where blobs are kept.

    Args:
        reached: whether it does; otherwise everything has to come in frames.
        reason: why not, for people.
    """

    reached: bool
    reason: Note = ""


class ResultRecorded(Message):
    """The manager has recorded a result that came in a parcel, and needs its blobs no more.

    Until then the worker keeps it: that a parcel has arrived says nothing of what is in it.

    Args:
        task_id: which task.
        attempt: which attempt, from 1.
    """

    task_id: TaskId
    attempt: int = Field(default=1, ge=1)
