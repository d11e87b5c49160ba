"""No field of any message is lost on the way, whichever way that is."""

from __future__ import annotations

import pickle
from typing import Any

import msgpack
import pytest
from muster import messages
from muster.messages import (
    MESSAGE_KINDS,
    PriorityTask,
    Task,
    TaskAssignment,
    decode_message,
    encode_message,
)
from muster.messages.codec import (
    decode_task,
    encode_assignment,
    encode_task,
    open_assignment,
    pack_task,
)
from muster.messages.cutting import cut, splice
from muster.messages.frame import (
    Datagram,
    Frame,
    Letter,
    Section,
    Segment,
    decode_frame,
    decode_letter,
    encode_frame,
    encode_letter,
)
from muster.messages.work import Message
from pydantic import BaseModel

from ..every_field import NESTED, default_of, make, names_of, values_of


class WeighingTask(Task):
    """A user's own task, with a field of its own."""

    grams: float = 0.0


TASK_CLASSES = (Task, PriorityTask, WeighingTask)
PAYLOADS = {"plain": "leaf", "nested": NESTED}


def _kinds() -> list[type[BaseModel]]:
    return list(MESSAGE_KINDS.values())


def _last_descendants(kind: type[Message]) -> set[type[Message]]:
    ours = f"{messages.__name__}."
    children = [each for each in kind.__subclasses__() if each.__module__.startswith(ours)]
    return {kind} if not children else set().union(*map(_last_descendants, children))


def _assert_same_fields(arrived: Any, sent: Any) -> None:
    assert type(arrived) is type(sent)
    assert values_of(arrived) == values_of(sent)
    for name, value in values_of(arrived).items():
        assert value != default_of(type(sent), name), f"{type(sent).__name__}.{name} was lost"


def _as_it_arrives(payload: object) -> object:
    return msgpack.unpackb(msgpack.packb(payload))


@pytest.fixture(params=PAYLOADS)
def payload(request: pytest.FixtureRequest) -> object:
    """What needs no serializer of pydantic's, and what does."""
    return _as_it_arrives(PAYLOADS[request.param])


def test_every_message_is_known_to_the_codec() -> None:
    # Those in between give others their fields, and are not sent.
    assert _last_descendants(Message) == set(_kinds())


@pytest.mark.parametrize("kind", _kinds(), ids=lambda kind: kind.__name__)
def test_every_field_of_a_message_arrives(kind: type[BaseModel], payload: object) -> None:
    message = make(kind, payload)
    encoded = encode_message(message)
    assert set(msgpack.unpackb(encoded, strict_map_key=False)[1]) == set(names_of(kind))
    _assert_same_fields(decode_message(encoded), message)
    _assert_same_fields(pickle.loads(pickle.dumps(message)), message)


@pytest.mark.parametrize("kind", _kinds(), ids=lambda kind: kind.__name__)
def test_every_field_of_a_message_arrives_that_is_set_alone(
    kind: type[BaseModel], payload: object
) -> None:
    whole = values_of(make(kind, payload))
    needed = {name: value for name, value in whole.items() if default_of(kind, name) is ...}
    for name, value in whole.items():
        arrived = decode_message(encode_message(kind(**{**needed, name: value})))
        assert getattr(arrived, name) == value, f"{kind.__name__}.{name} was lost"


@pytest.mark.parametrize("kind", _kinds(), ids=lambda kind: kind.__name__)
def test_every_field_arrives_of_a_message_whose_large_values_were_cut_out(
    kind: type[BaseModel], payload: object
) -> None:
    encoded = encode_message(make(kind, payload))
    cutting = cut(encoded, 1)
    assert encoded == (encoded if cutting is None else splice(cutting))


@pytest.mark.parametrize("kind", TASK_CLASSES, ids=lambda kind: kind.__name__)
def test_every_field_of_a_task_arrives(kind: type[Task], payload: object) -> None:
    task = make(kind, payload)
    _assert_same_fields(decode_task(encode_task(task)), task)
    packed = pack_task(task)
    assert packed is not None
    _assert_same_fields(decode_task(packed), task)


@pytest.mark.parametrize("kind", TASK_CLASSES, ids=lambda kind: kind.__name__)
def test_every_field_arrives_of_an_assignment_put_together_from_its_parts(
    kind: type[Task], payload: object
) -> None:
    task = make(kind, payload)
    packed = pack_task(task)
    assert packed is not None
    whole = make(TaskAssignment, payload, task=task)
    arrived = decode_message(encode_assignment(whole, packed))
    _assert_same_fields(arrived, whole)
    assert isinstance(arrived, TaskAssignment)
    _assert_same_fields(arrived.task, task)


def test_every_field_arrives_of_an_assignment_that_many_tasks_have_in_common() -> None:
    task = make(Task)
    packed = pack_task(task)
    assert packed is not None
    opening = open_assignment(assigned_at=7, timeout=1.5, attempt=2, worker="Ada")
    arrived = decode_message(opening + packed)
    assert arrived == TaskAssignment(task, assigned_at=7, timeout=1.5, attempt=2, worker="Ada")


LETTERS: list[Letter] = [
    Datagram((b"one", b"two")),
    make(Segment, messages=(b"one", b"two")),
]


@pytest.mark.parametrize("letter", LETTERS, ids=lambda letter: type(letter).__name__)
def test_every_field_of_a_letter_and_a_frame_arrives(letter: Letter) -> None:
    frame = make(Frame, sections=(make(Section, letter=encode_letter(letter)),))
    arrived = decode_frame(encode_frame(frame))
    assert arrived == frame
    assert decode_letter(arrived.sections[0].letter) == letter
