"""What is sent arrives as it was."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.messages import (
    MESSAGE_KINDS,
    AskAboutAttempts,
    AttemptResumed,
    AttemptSuspended,
    AwaitTasks,
    BlobPlace,
    BlobsReached,
    BlobsWanted,
    CancelTask,
    ChangeGrant,
    ClientHello,
    DecodeError,
    Flaw,
    Goodbye,
    Heartbeat,
    Hello,
    ManagerReplaced,
    ManagerReply,
    ManagerRequest,
    MessagePiece,
    Parcel,
    PartsTaken,
    PieceTaken,
    PriorityTask,
    RecallTasks,
    Refusal,
    RequestParcel,
    ResultRecorded,
    ReturnTasks,
    Shutdown,
    SubmitTasks,
    Task,
    TaskAssignment,
    TaskFunction,
    TaskPart,
    TaskProgress,
    TaskResult,
    TaskStatus,
    Welcome,
    WorkerFunctions,
    decode_message,
    encode_message,
)
from muster.messages import task as task_module
from muster.messages.codec import encode_assignment, open_assignment, pack_task
from pydantic import BaseModel, field_validator


class MeasuringTask(Task):
    """A user's own task, with fields of its own."""

    metres: float
    tags: tuple[str, ...] = ()


class Weather(BaseModel):
    """A user's own message."""

    place: str
    degrees: float = 0.0


class Moody(BaseModel):
    """A user's own message whose validator raises what pydantic doesn't expect."""

    mood: str

    @field_validator("mood")
    @classmethod
    def look_up(cls, mood: str) -> str:
        return {"good": "good"}[mood]


class SignedAssignment(TaskAssignment):
    """A user's own kind of assignment."""

    signature: str = ""


integers = st.integers(-(2**63), 2**64 - 1)
scalars = (
    st.none()
    | st.booleans()
    | integers
    | st.floats(allow_nan=False)
    | st.text(max_size=40)
    | st.binary(max_size=40)
    | st.datetimes(timezones=st.just(timezone.utc))
)
keys = st.none() | st.booleans() | integers | st.text(max_size=9) | st.binary(max_size=9)
payloads = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=20,
)
ids = st.integers(1, 2**63 - 1) | st.text(min_size=1, max_size=20).filter(lambda name: name.strip())
names = st.text(min_size=1, max_size=20).filter(lambda name: name.strip())
seconds = st.floats(0.001, 1e9)
short_texts = st.text(max_size=20)
attempts = st.integers(1, 100)
leases = st.lists(st.tuples(ids, attempts), max_size=3).map(tuple)
notes = st.text(max_size=100)
blob_names = st.from_regex(r"[0-9a-f]{64}(-[0-9a-f]{16})?", fullmatch=True)

common_task_fields: dict[str, st.SearchStrategy[Any]] = {
    "id": ids,
    "description": names,
    "difficulty": st.integers(1, 10),
    "type": short_texts,
    "data": payloads,
    "depends_on": st.lists(ids, max_size=3).map(tuple),
    "parent_id": st.none() | ids,
    "timeout": st.none() | seconds,
    "max_attempts": attempts,
    "expires_s": st.none() | seconds,
}
tasks = (
    st.builds(Task, **common_task_fields, priority=st.integers(-5, 5))
    | st.builds(PriorityTask, **common_task_fields, priority=st.integers(1, 5))
    | st.builds(
        MeasuringTask,
        **common_task_fields,
        metres=seconds,
        tags=st.lists(short_texts, max_size=3).map(tuple),
    )
)
messages: dict[type[BaseModel], st.SearchStrategy[BaseModel]] = {
    TaskAssignment: st.builds(
        TaskAssignment,
        task=tasks,
        assigned_at=st.integers(0, 2**40),
        timeout=st.none() | seconds,
        attempt=attempts,
        worker=short_texts,
        inputs=st.dictionaries(ids, payloads, max_size=3),
    ),
    TaskResult: st.builds(
        TaskResult,
        task_id=ids,
        worker=short_texts,
        success=st.booleans(),
        execution_time=seconds,
        error_message=st.none() | notes,
        attempt=attempts,
        output=payloads,
    ),
    AttemptSuspended: st.builds(
        AttemptSuspended,
        task_id=ids,
        attempt=attempts,
        reason=notes,
        grant=st.sampled_from(["kept", "returned", "wanted"]),
    ),
    ChangeGrant: st.builds(ChangeGrant, task_id=ids, attempt=attempts, is_given=st.booleans()),
    AttemptResumed: st.builds(AttemptResumed, task_id=ids, attempt=attempts),
    TaskProgress: st.builds(
        TaskProgress,
        task_id=ids,
        worker=short_texts,
        attempt=attempts,
        percent=st.floats(0, 100),
        note=notes,
    ),
    CancelTask: st.builds(CancelTask, task_id=ids, attempt=attempts, reason=notes),
    RecallTasks: st.builds(RecallTasks, attempts=leases),
    AskAboutAttempts: st.builds(AskAboutAttempts, attempts=leases),
    ReturnTasks: st.builds(ReturnTasks, attempts=leases),
    Hello: st.builds(
        Hello,
        name=names,
        skill_level=st.integers(0, 1000),
        specialties=st.lists(short_texts, max_size=3).map(tuple),
        slots=st.integers(1, 100),
        task_types=st.none() | st.lists(short_texts, max_size=3).map(tuple),
        session=short_texts,
    ),
    Welcome: st.builds(
        Welcome,
        manager=names,
        worker=names,
        session=short_texts,
        worker_session=short_texts,
        heartbeat_s=seconds,
        lost_after_s=seconds,
    ),
    Refusal: st.builds(Refusal, worker_session=short_texts, reason=notes),
    Heartbeat: st.builds(Heartbeat, running=st.integers(0, 1000)),
    Goodbye: st.builds(Goodbye, reason=notes),
    Shutdown: st.builds(Shutdown, reason=notes),
    ManagerReplaced: st.builds(ManagerReplaced, manager=names, leads=st.booleans()),
    Parcel: st.builds(
        Parcel,
        task_id=ids,
        attempt=attempts,
        worker=names,
        skeleton=st.binary(max_size=40),
        cuts=st.lists(st.tuples(st.integers(0, 40), blob_names), min_size=1, max_size=3).map(tuple),
    ),
    BlobPlace: st.builds(BlobPlace, url=short_texts, probe=st.none() | blob_names, reason=notes),
    BlobsWanted: st.builds(BlobsWanted),
    BlobsReached: st.builds(BlobsReached, reached=st.booleans(), reason=notes),
    ResultRecorded: st.builds(ResultRecorded, task_id=ids, attempt=attempts),
    WorkerFunctions: st.builds(
        WorkerFunctions,
        functions=st.lists(
            st.builds(
                TaskFunction,
                type=names,
                description=short_texts,
                parameters=st.dictionaries(short_texts, short_texts, max_size=2),
                is_checked=st.booleans(),
            ),
            max_size=2,
        ).map(tuple),
    ),
    ClientHello: st.builds(ClientHello, name=names, session=short_texts, call=attempts),
    SubmitTasks: st.builds(
        SubmitTasks,
        number=attempts,
        tasks=st.lists(st.binary(max_size=40), max_size=3).map(tuple),
        wants_results=st.booleans(),
    ),
    AwaitTasks: st.builds(
        AwaitTasks, number=attempts, task_ids=st.lists(ids, max_size=3).map(tuple)
    ),
    ManagerRequest: st.builds(
        ManagerRequest,
        number=attempts,
        method=st.sampled_from(["cancel", "set_priority", "status", "why", "workers"]),
        arguments=st.dictionaries(short_texts, payloads, max_size=3),
    ),
    ManagerReply: st.builds(
        ManagerReply, number=attempts, value=payloads, error_kind=short_texts, error=notes
    ),
    TaskPart: st.builds(
        TaskPart, task_id=ids, attempt=attempts, number=attempts, part=st.binary(max_size=40)
    ),
    PartsTaken: st.builds(PartsTaken, task_id=ids, attempt=attempts, number=attempts),
    RequestParcel: st.builds(
        RequestParcel,
        number=attempts,
        skeleton=st.binary(max_size=40),
        cuts=st.lists(st.tuples(st.integers(0, 40), blob_names), min_size=1, max_size=3).map(tuple),
    ),
    MessagePiece: st.builds(
        MessagePiece,
        transfer=attempts,
        size_bytes=attempts,
        offset=st.integers(0, 40),
        content=st.binary(min_size=1, max_size=40),
    ),
    PieceTaken: st.builds(PieceTaken, transfer=attempts, offset=st.integers(0, 40)),
}


def _sent(message: BaseModel, *also: type[BaseModel]) -> BaseModel:
    return decode_message(encode_message(message), {kind.__qualname__: kind for kind in also})


def _sent_output(output: object) -> object:
    result = _sent(TaskResult(task_id=1, worker="Asha", success=True, output=output))
    assert isinstance(result, TaskResult)
    return result.output


def test_every_kind_of_message_is_tried_here() -> None:
    assert set(messages) == set(MESSAGE_KINDS.values())


@pytest.mark.parametrize("kind", messages, ids=lambda kind: kind.__name__)
def test_a_message_arrives_as_it_was_sent(kind: type[BaseModel]) -> None:
    @given(messages[kind])
    def arrives(message: BaseModel) -> None:
        arrived = _sent(message)
        assert arrived == message
        assert type(arrived) is type(message)

    arrives()


@given(tasks)
def test_a_task_arrives_in_its_own_class(task: Task) -> None:
    arrived = _sent(TaskAssignment(task=task))
    assert isinstance(arrived, TaskAssignment)
    assert type(arrived.task) is type(task)
    assert arrived.task == task


@given(
    tasks,
    st.integers(0, 2**40),
    st.none() | st.floats(0.1, 1e6),
    st.integers(1, 200),
    st.text(max_size=200),
)
def test_an_assignment_put_together_from_its_parts_is_what_it_would_be_in_one(
    task: Task, assigned_at: int, timeout: float | None, attempt: int, worker: str
) -> None:
    whole = TaskAssignment(
        task=task, assigned_at=assigned_at, timeout=timeout, attempt=attempt, worker=worker
    )
    opening = open_assignment(assigned_at, timeout, attempt, worker)
    assert opening + pack_task(task) == encode_message(whole)
    assert encode_assignment(whole, pack_task(task)) == encode_message(whole)


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        ((1, (2, 3)), [1, [2, 3]]),
        (bytearray(b"tea"), b"tea"),
        (TaskStatus.FAILED, "failed"),
        (Enum("Leaf", {"BUD": 1}, type=int)["BUD"], 1),
        (Task(id=3, description="d").id, 3),
    ],
)
def test_a_richer_value_arrives_as_the_plain_one(sent: object, arrives: object) -> None:
    arrived = _sent_output(sent)
    assert (arrived, type(arrived)) == (arrives, type(arrives))


def test_a_time_arrives_as_the_same_moment() -> None:
    noon = datetime(2026, 6, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert _sent_output(noon) == noon


def test_not_a_number_arrives_as_such() -> None:
    arrived = _sent_output(float("nan"))
    assert arrived != arrived  # noqa: PLR0124 - so is NaN


def test_a_task_of_an_unknown_class_names_it_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = encode_message(TaskAssignment(task=MeasuringTask(id=1, description="d", metres=2.0)))
    known = {"Task": Task, "PriorityTask": PriorityTask}
    monkeypatch.setattr(task_module, "_task_classes", known)
    with pytest.raises(DecodeError) as caught:
        decode_message(data)
    assert caught.value.flaw is Flaw.UNKNOWN_KIND
    assert caught.value.detail == (
        "no task class is called 'MeasuringTask' here; import its module on the worker too"
    )


def test_a_task_that_breaks_its_own_class_is_refused() -> None:
    data = encode_message(TaskAssignment(task=Task.model_construct(id=0, description="d")))
    with pytest.raises(DecodeError, match=r"^invalid: id: 0: must be an integer above 0"):
        decode_message(data)


def test_a_users_own_message_arrives_where_it_is_known() -> None:
    assert _sent(Weather(place="Ella", degrees=19.5), Weather) == Weather(
        place="Ella", degrees=19.5
    )


def test_a_users_own_message_is_an_unknown_kind_elsewhere() -> None:
    with pytest.raises(DecodeError, match="unknown_kind: no message is called 'Weather'"):
        _sent(Weather(place="Ella"))


def test_a_users_own_assignment_brings_its_task() -> None:
    sent = SignedAssignment(task=PriorityTask(id=1, description="d", priority=2), signature="Priya")
    assert _sent(sent, SignedAssignment) == sent


def test_a_users_class_cannot_take_the_place_of_our_own() -> None:
    data = encode_message(Goodbye(reason="r"))
    assert decode_message(data, {"Goodbye": Weather}) == Goodbye(reason="r")


def test_whatever_a_users_validator_raises_is_a_flaw_of_the_message() -> None:
    with pytest.raises(DecodeError) as caught:
        _sent(Moody.model_construct(mood="bad"), Moody)
    assert caught.value.flaw is Flaw.INVALID
    assert caught.value.detail == "Moody: KeyError: 'bad'"
