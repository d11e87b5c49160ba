"""Tasks and messages written and used as the dataclasses that the documents declare them as."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import pprint
from dataclasses import InitVar, dataclass, field, make_dataclass
from typing import Any, ClassVar

import pytest
from muster.messages import (
    Hello,
    InvalidInput,
    PriorityTask,
    Task,
    TaskAssignment,
    TaskResult,
    WrongCall,
    decode_message,
    encode_message,
)
from pydantic import PrivateAttr, ValidationError


@dataclass
class Parcel(Task):
    weight: int

    def get_processing_time(self) -> float:
        return self.difficulty * self.weight


@dataclass
class Express(Parcel):
    lane: str = "air"
    stamps: list[str] = field(default_factory=list)
    limit: ClassVar[int] = 30


class Fragile(Express):
    """Without the decorator, below one with it."""

    padding: float = 1.5


@dataclass
class Priced(Task):
    per_kilo: int = 2
    price: int = field(init=False)

    def __post_init__(self) -> None:
        self.price = self.difficulty * self.per_kilo


class Discounted(Priced):
    """A level further down, with a `__post_init__` of its own, and something private."""

    discount: int = 1
    _asked: list[int] = PrivateAttr(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.price -= self.discount
        self._asked.append(self.price)


@dataclass
class Free(Discounted):
    def __post_init__(self) -> None:
        super().__post_init__()
        self.price = 0


@dataclass
class Redeclared(Task):
    priority: int
    difficulty: int = 4


@dataclass
class Noted(TaskResult):
    note: str = ""


TASKS = [
    Parcel(1, "crate", 4, 2),
    Express(1, "crate", 4, 2, "sea", ["a", "b"]),
    Express("crate-1", "crate", weight=7),
    Fragile(1, "crate", 4, 2, padding=2.0),
    Priced(1, "crate", 4),
    Discounted(1, "crate", 4, discount=2),
    Free(1, "crate", 4, 7, 2),
    Redeclared(1, "crate", priority=3),
    PriorityTask(1, "crate", 4, 5),
    Task(1, "crate", 4),
]


def _name(task: Any) -> str:
    return type(task).__name__


@pytest.mark.parametrize(
    ("by_position", "by_name"),
    [
        (lambda: Task(1, "a", 3), {"id": 1, "description": "a", "difficulty": 3}),
        (lambda: Task(1, "a"), {"id": 1, "description": "a"}),
        (lambda: Task("one", "a", type="t"), {"id": "one", "description": "a", "type": "t"}),
        (lambda: Parcel(1, "a", 3, 9), {"id": 1, "description": "a", "difficulty": 3, "weight": 9}),
        (
            lambda: Express(1, "a", 3, 9, "sea"),
            {"id": 1, "description": "a", "difficulty": 3, "weight": 9, "lane": "sea"},
        ),
        (
            lambda: Redeclared(1, "a", 5, 9),
            {"id": 1, "description": "a", "difficulty": 5, "priority": 9},
        ),
        (lambda: TaskResult(1, "w", True), {"task_id": 1, "worker": "w", "success": True}),
        (
            lambda: TaskResult(1, "w", False, 2.5, "no"),
            {
                "task_id": 1,
                "worker": "w",
                "success": False,
                "execution_time": 2.5,
                "error_message": "no",
            },
        ),
        (
            lambda: Noted(1, "w", True, 0.0, None, "hm"),
            {"task_id": 1, "worker": "w", "success": True, "note": "hm"},
        ),
        (lambda: TaskAssignment(TASKS[0]), {"task": TASKS[0]}),
        (
            lambda: TaskAssignment(TASKS[0], 5, 8),
            {"task": TASKS[0], "assigned_at": 5, "timeout": 8},
        ),
        (lambda: Hello("w", 3, session="s"), {"name": "w", "skill_level": 3, "session": "s"}),
    ],
)
def test_positional_arguments_say_the_same_as_named_ones(by_position: Any, by_name: Any) -> None:
    made = by_position()
    assert made == type(made)(**by_name)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (
            lambda: Task(1, "a", 3, "type"),  # type: ignore[call-arg]
            r"Task takes 3 positional arguments \(id, description, difficulty\), not 4; name",
        ),
        (lambda: TaskResult(1, "w", True, 0.0, None, 2), "TaskResult takes 5 positional"),
        (lambda: Task(1, "a", id=2), "Task got id by position and by name; give it once"),
    ],
)
def test_a_call_that_does_not_fit_says_what_to_write(call: Any, told: str) -> None:
    with pytest.raises(WrongCall, match=told) as caught:
        call()
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize("call", [lambda: Task(1, "a", 11), lambda: Parcel(1, "a", 3, "heavy")])
def test_positional_arguments_are_validated_too(call: Any) -> None:
    with pytest.raises(ValidationError):
        call()


@pytest.mark.parametrize("task", TASKS, ids=_name)
def test_it_survives_the_direct_connection_pickles_and_copies(task: Task) -> None:
    arrived = decode_message(encode_message(TaskAssignment(task)))
    assert isinstance(arrived, TaskAssignment)
    others = [
        arrived.task,
        pickle.loads(pickle.dumps(task)),
        pickle.loads(pickle.dumps(TaskAssignment(task))).task,
        copy.copy(task),
        copy.deepcopy(task),
        dataclasses.replace(task),
        type(task).__replace__(task),
    ]
    for other in others:
        assert type(other) is type(task)
        assert other == task


@pytest.mark.parametrize("task", TASKS, ids=_name)
def test_all_fields_count_in_equality_and_repr(task: Task) -> None:
    other = dataclasses.replace(task, id=99)
    assert other != task
    assert repr(task).startswith(f"{type(task).__name__}(id={task.id!r}, description='crate', ")
    assert all(f"{name}=" in repr(task) for name in type(task).model_fields)
    assert "crate" in pprint.pformat(task)


@pytest.mark.parametrize(
    "message", [*TASKS, TaskResult(1, "w", True), Noted(1, "w", True, note="hm")], ids=_name
)
def test_the_functions_of_dataclasses_see_all_fields(message: Any) -> None:
    assert dataclasses.is_dataclass(message)
    names = [each.name for each in dataclasses.fields(message)]
    assert names == list(type(message).model_fields)
    assert dataclasses.asdict(message) == message.model_dump()
    assert dataclasses.astuple(message) == tuple(message.model_dump().values())


@pytest.mark.parametrize("task", TASKS, ids=_name)
def test_it_has_all_that_a_dataclass_tells_of_itself(task: Any) -> None:
    told, expected = task.__dataclass_params__, make_dataclass("Any", ()).__dataclass_params__
    assert type(told) is type(expected)
    assert not told.frozen


def test_asdict_goes_into_what_a_message_holds() -> None:
    told = dataclasses.asdict(TaskAssignment(Parcel(1, "crate", 4, 2), 5))
    assert (told["task"]["weight"], told["assigned_at"]) == (2, 5)


@pytest.mark.parametrize(
    "replace", [dataclasses.replace, lambda m, **c: type(m).__replace__(m, **c)]
)
def test_what_is_replaced_is_validated(replace: Any) -> None:
    task = Express(1, "crate", 4, 2)
    assert replace(task, difficulty=9) == Express(1, "crate", 9, 2)
    with pytest.raises(ValidationError):
        replace(task, difficulty=11)


def test_defaults_made_by_a_factory_are_not_shared() -> None:
    one, other = Express(1, "a", 3, 1), Express(2, "a", 3, 1)
    one.stamps.append("x")
    assert other.stamps == []


def test_post_init_is_called_and_may_fill_fields() -> None:
    task = Priced(1, "crate", 4)
    assert task.price == 8
    assert dataclasses.replace(task, difficulty=5).price == 10
    assert Discounted(1, "crate", 4, discount=3).price == 5
    assert Free(1, "crate", 4)._asked == [7]


def test_a_task_matches_a_pattern_by_position() -> None:
    match TASKS[0]:
        case Parcel(number, description, difficulty, weight):
            assert (number, description, difficulty, weight) == (1, "crate", 4, 2)
        case _:
            pytest.fail("no match")


def test_its_signature_tells_what_may_go_by_position() -> None:
    parameters = inspect.signature(TaskResult).parameters.values()
    by_position = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    assert by_position == ["task_id", "worker", "success", "execution_time", "error_message"]


@pytest.mark.parametrize(
    "kind", [InitVar[int], "InitVar[int]", "dataclasses.InitVar[int]", "InitVar"]
)
def test_init_variables_are_refused_with_what_to_write(kind: Any) -> None:
    with pytest.raises(InvalidInput, match=r"Own\.bonus can't be an InitVar.*make it a field"):
        type("Own", (Task,), {"__module__": __name__, "__annotations__": {"bonus": kind}})


def test_slots_are_refused_with_what_to_write() -> None:
    with pytest.raises(InvalidInput, match="use @dataclass without slots=True"):

        @dataclass(slots=True)
        class Slotted(Task):
            weight: int


def test_a_class_that_says_itself_what_a_match_takes_is_heeded() -> None:
    class Named(Task):
        __match_args__ = ("type",)

    assert Named.__match_args__ == ("type",)
