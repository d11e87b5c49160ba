"""Marked methods of any object do tasks, with the rules of functions; wrong ones are refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from muster.agents import (
    Handlers,
    Rejected,
    TaskContext,
    TaskManager,
    review_method,
    task_method,
)
from muster.messages import InvalidInput, Task, TaskResult, WrongCall

from .test_typed_functions import play


class Library:
    """A class of a user's own, with methods of all forms."""

    def __init__(self, shelf: str) -> None:
        self.shelf = shelf

    @task_method
    async def find(self, title: str, *, copies: int = 1) -> str:
        return f"{title} x{copies} on {self.shelf}"

    @task_method("lend")
    def hand_out(self, task: Task, context: TaskContext) -> str:
        return f"{task.data} from {self.shelf}, attempt {context.attempt}"

    @task_method()
    async def by_type(self, number: int, told: TaskContext) -> list[int]:
        return [number, told.attempt]

    @task_method
    async def chapters(self, count: int) -> AsyncIterator[str]:
        for number in range(count):
            yield f"{self.shelf}{number}"

    @task_method
    def pages(self, task: Task) -> Iterator[int]:
        yield from range(task.data)

    @staticmethod
    @task_method
    def double(number: int) -> int:
        return 2 * number

    @task_method
    @staticmethod
    def triple(number: int) -> int:
        return 3 * number

    @classmethod
    @task_method
    def name_of_class(cls) -> str:
        return cls.__name__

    @review_method("lend")
    async def check(self, task: Task, result: TaskResult) -> bool:
        if task.data == "nothing":
            raise Rejected("there is nothing to lend")
        return self.shelf in str(result.output)

    def not_marked(self, task: Task) -> None:
        raise AssertionError("nobody calls it")


class Annex(Library):
    """Inherits marks, moves one, and takes one method away."""

    async def find(self, title: str, *, copies: int = 1) -> str:
        return f"{title} in the annex"

    @task_method("give")
    def hand_out(self, task: Task, context: TaskContext) -> str:
        return f"{task.data} given away"

    pages = None  # type: ignore[assignment]


CALLS = [
    (Library, "find", {"title": "Dune", "copies": 2}, "Dune x2 on A"),
    (Library, "lend", "Emma", "Emma from A, attempt 1"),
    (Library, "by_type", {"number": 4}, [4, 1]),
    (Library, "chapters", {"count": 2}, ["A0", "A1"]),
    (Library, "pages", 3, [0, 1, 2]),
    (Library, "double", {"number": 4}, 8),
    (Library, "triple", {"number": 4}, 12),
    (Library, "name_of_class", {}, "Library"),
    (Annex, "find", {"title": "Dune"}, "Dune in the annex"),
    (Annex, "give", "Emma", "Emma given away"),
    (Annex, "name_of_class", {}, "Annex"),
]


@pytest.mark.parametrize(("kind", "task_type", "data", "expected"), CALLS)
def test_a_marked_method_does_tasks_as_a_function_does(
    kind: Callable[[str], Library], task_type: str, data: Any, expected: Any
) -> None:
    async def story(manager: TaskManager) -> Any:
        return await manager.submit(Task(type=task_type, data=data))

    result = play(story, Handlers.of(kind("A")))
    assert result.unwrap() == expected


def test_the_marks_of_an_object_are_its_types_of_tasks_and_of_reviews() -> None:
    handlers = Handlers.of(Library("A"))
    assert set(handlers) == {
        *("find", "lend", "by_type", "chapters", "pages", "double", "triple", "name_of_class")
    }
    assert handlers.review_types == ("lend",)
    assert set(Handlers.of(Annex("A"))) == set(handlers) - {"lend", "pages"} | {"give"}


def test_two_objects_of_a_class_each_do_tasks_with_their_own_state() -> None:
    one, other = Library("A"), Library("B")

    async def story(manager: TaskManager) -> Any:
        return await manager.submit(Task(type="find", data={"title": "Dune"}))

    assert play(story, Handlers.of(one)).output == "Dune x1 on A"
    assert play(story, Handlers.of(other)).output == "Dune x1 on B"


def test_a_typed_method_is_submitted_like_a_function_and_stays_a_method() -> None:
    library = Library("A")
    handlers = Handlers.of(library)

    async def story(manager: TaskManager) -> Any:
        with pytest.raises(WrongCall, match=r"copies: 'many'"):
            await manager.submit(library.find, "Dune", copies="many")
        return await manager.submit(library.find, "Dune", copies=3)

    assert play(story, handlers).output == "Dune x3 on A"
    assert asyncio.run(library.find("Emma")) == "Emma x1 on A"


def test_arguments_and_outputs_of_methods_are_checked() -> None:
    class Liar:
        @task_method
        def count(self, limit: int) -> int:
            return "many"  # type: ignore[return-value]

    async def story(manager: TaskManager) -> Any:
        wrong = await manager.submit(Task(type="count", data={"limit": "x"}))
        lie = await manager.submit(Task(type="count", data={"limit": 1}, max_attempts=1))
        return wrong.error_message, lie.error_message

    wrong, lie = play(story, Handlers.of(Liar()))
    assert wrong.startswith("WrongCall: ")
    assert "limit" in wrong
    assert lie.startswith("WrongOutput: ")


class Nothing:
    def work(self, task: Task) -> None: ...


class Twice:
    @task_method("weigh")
    def one(self, task: Task) -> None: ...

    @task_method("weigh")
    def other(self, task: Task) -> None: ...


class TwoReviewers:
    @review_method("weigh")
    def one(self, task: Task, result: TaskResult) -> None: ...

    @review_method("weigh")
    def other(self, task: Task, result: TaskResult) -> None: ...


class TooMany:
    @task_method
    def weigh(self, task: Task, context: TaskContext, more: str) -> None: ...


@pytest.mark.parametrize(
    ("owner", "message"),
    [
        (Nothing(), "class Nothing has no marked method; write `@task_method`"),
        (7, "class int has no marked method"),
        (
            Library,
            r"pass an object of it, as in `Handlers.of\(Library\(...\)\)`",
        ),
        (Twice(), "Twice.one and Twice.other are both marked as handler for tasks of type 'weigh'"),
        (TwoReviewers(), "both marked as reviewer for tasks of type 'weigh'"),
        (TooMany(), "TooMany.weigh takes more too"),
    ],
)
def test_an_object_that_cannot_do_tasks_is_refused_with_what_to_change(
    owner: object, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        Handlers.of(owner)


@pytest.mark.parametrize("mark", [task_method, review_method])
def test_a_mark_on_no_method_or_with_a_blank_type_is_refused(mark: Any) -> None:
    with pytest.raises(InvalidInput, match="needs a type of task, not the blank ' '"):
        mark(" ")
    for wrong in (Nothing, 7, property(lambda self: 7)):
        with pytest.raises(InvalidInput, match="which is no method; write it above"):
            mark(wrong)


def test_handlers_of_several_objects_come_together_unless_they_do_the_same() -> None:
    handlers = Handlers.of(Library("A"))
    with pytest.raises(InvalidInput, match="two handlers for tasks of type"):
        handlers.update(Handlers.of(Annex("B")))
    handlers.update(Handlers.of(Annex("B")), replace=True)
    assert "give" in handlers
