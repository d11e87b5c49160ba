"""The bounds of what travels: two versions of Muster refuse the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from muster.messages import MESSAGE_KINDS

_WORDS = {
    "minimum": ">=",
    "exclusiveMinimum": ">",
    "maximum": "<=",
    "minLength": "characters >=",
    "maxLength": "characters <=",
    "minItems": "items >=",
    "maxItems": "items <=",
    "maxProperties": "entries <=",
}

ID = "> 0, <= 9223372036854775807, characters <= 200"
NAME = "characters <= 200"
TEXT = "characters <= 10000"
SESSION = "characters <= 64"
KEYS = f"{ID}, items >= 2, items <= 2"

BOUNDS = {
    "TaskAssignment.attempt": ">= 1",
    "TaskResult.task_id": ID,
    "TaskResult.execution_time": ">= 0",
    "TaskResult.attempt": ">= 1",
    "TaskResult.cost": ">= 0",
    "TaskResult.cost_unit": "characters <= 20",
    "TaskResult.quality": ">= 0, <= 1",
    "TaskResult.retry_after_s": ">= 0, <= 315360000",
    "TaskProgress.task_id": ID,
    "TaskProgress.attempt": ">= 1",
    "TaskProgress.percent": ">= 0, <= 100",
    "TaskProgress.note": TEXT,
    "AttemptSuspended.task_id": ID,
    "AttemptSuspended.attempt": ">= 1",
    "AttemptSuspended.reason": TEXT,
    "AttemptResumed.task_id": ID,
    "AttemptResumed.attempt": ">= 1",
    "ChangeGrant.task_id": ID,
    "ChangeGrant.attempt": ">= 1",
    "CancelTask.task_id": ID,
    "CancelTask.attempt": ">= 1",
    "CancelTask.reason": TEXT,
    "RecallTasks.attempts[]": KEYS,
    "ReturnTasks.attempts[]": KEYS,
    "AskAboutAttempts.attempts": "items <= 100000",
    "AskAboutAttempts.attempts[]": KEYS,
    "Hello.name": NAME,
    "Hello.skill_level": ">= 0, <= 1000",
    "Hello.specialties": "items <= 1000",
    "Hello.slots": ">= 1, <= 10000",
    "Hello.task_types": "items <= 1000",
    "Hello.session": SESSION,
    "Hello.call": ">= 1",
    "Hello.holding": "items <= 100000",
    "Hello.holding[]": KEYS,
    "Hello.skills": "entries <= 100",
    "Hello.cost_per_s": ">= 0",
    "Hello.cost_per_task": ">= 0",
    "Hello.at_most_once_types": "items <= 1000",
    "Hello.review_types": "items <= 1000",
    "WorkerFunctions.functions": "items <= 1000",
    "Welcome.manager": NAME,
    "Welcome.worker": NAME,
    "Welcome.session": SESSION,
    "Welcome.admission": ">= 1",
    "Welcome.worker_session": SESSION,
    "Welcome.worker_call": ">= 1",
    "Welcome.heartbeat_s": "> 0",
    "Welcome.lost_after_s": "> 0",
    "Welcome.blob_threshold_bytes": ">= 0",
    "Refusal.worker_session": SESSION,
    "Refusal.reason": TEXT,
    "Heartbeat.running": ">= 0",
    "Goodbye.reason": TEXT,
    "Shutdown.reason": TEXT,
    "ManagerReplaced.manager": NAME,
    "Parcel.task_id": ID,
    "Parcel.attempt": ">= 1",
    "Parcel.worker": NAME,
    "Parcel.cuts": "items >= 1, items <= 100000",
    "Parcel.cuts[]": ">= 0, items >= 2, items <= 2",
    "BlobPlace.url": "characters <= 4096",
    "BlobPlace.reason": TEXT,
    "BlobsReached.reason": TEXT,
    "ResultRecorded.task_id": ID,
    "ResultRecorded.attempt": ">= 1",
    "ClientHello.name": NAME,
    "ClientHello.session": SESSION,
    "ClientHello.call": ">= 1",
    "SubmitTasks.number": ">= 1",
    "SubmitTasks.tasks": "items <= 10000",
    "SubmitTasks.asked_by": KEYS,
    "AwaitTasks.number": ">= 1",
    "AwaitTasks.task_ids": "items <= 10000",
    "AwaitTasks.task_ids[]": ID,
    "ManagerRequest.number": ">= 1",
    "ManagerRequest.asked_by": KEYS,
    "ManagerReply.number": ">= 1",
    "ManagerReply.error_kind": "characters <= 100",
    "TaskPart.task_id": ID,
    "TaskPart.attempt": ">= 1",
    "TaskPart.number": ">= 1",
    "TaskPart.part": "characters <= 262144",
    "PartsTaken.task_id": ID,
    "PartsTaken.attempt": ">= 1",
    "PartsTaken.number": ">= 1",
    "RequestParcel.number": ">= 1",
    "RequestParcel.cuts": "items >= 1, items <= 100000",
    "RequestParcel.cuts[]": ">= 0, items >= 2, items <= 2",
    "MessagePiece.transfer": ">= 1",
    "MessagePiece.size_bytes": ">= 1",
    "MessagePiece.offset": ">= 0",
    "MessagePiece.content": "characters >= 1, characters <= 131072",
    "PieceTaken.transfer": ">= 1",
    "PieceTaken.offset": ">= 0",
}


def bounds_of(schema: dict[str, Any], place: str) -> Iterator[tuple[str, str]]:
    """The bounds that a part of a JSON schema tells of, each with its place."""
    for word, sign in _WORDS.items():
        if word in schema:
            yield place, f"{sign} {int(schema[word])}"
    for each in (*schema.get("anyOf", ()), *schema.get("prefixItems", ())):
        yield from bounds_of(each, place)
    if isinstance(schema.get("items"), dict):
        yield from bounds_of(schema["items"], f"{place}[]")


def test_every_message_has_the_bounds_that_other_versions_know() -> None:
    found: dict[str, set[str]] = {}
    for name, kind in MESSAGE_KINDS.items():
        for field, schema in kind.model_json_schema()["properties"].items():
            for place, bound in bounds_of(schema, f"{name}.{field}"):
                found.setdefault(place, set()).add(bound)
    assert found == {place: set(told.split(", ")) for place, told in BOUNDS.items()}
