"""Reviewers and voters at work: what functions return, and what becomes of the task."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest
from muster.agents import (
    Handlers,
    MemoryStore,
    ProcessPool,
    Rejected,
    Review,
    TaskContext,
    TaskManager,
    WorkerAgent,
    rehearse,
    run_in_virtual_time,
)
from muster.agents.store.memory import SharedRows
from muster.messages import InvalidInput, Task, TaskAssignment, TaskResult, TaskStatus

Verdict = Callable[[], Any]


def raising(fault: Exception) -> Verdict:
    def verdict() -> Any:
        raise fault

    return verdict


def returning(value: Any) -> Verdict:
    return lambda: value


ACCEPTED: dict[str, tuple[Verdict, float | None]] = {
    "True": (returning(True), 1.0),
    "1": (returning(1), 1.0),
    "0.5": (returning(0.5), 0.5),
    "None": (returning(None), None),
    "a Review": (returning(Review(0.75, "nearly")), 0.75),
    "a Review without a grade": (returning(Review(None, "nearly")), None),
}
REJECTED: dict[str, tuple[Verdict, str]] = {
    "False": (returning(False), "rejected: by Ben: 0"),
    "0.49": (returning(0.49), "rejected: by Ben: 0.49"),
    "a Review": (returning(Review(0.1, "no cat")), "rejected: by Ben: no cat"),
    "Rejected": (raising(Rejected("no cat")), "rejected: by Ben: no cat"),
}
WRONG: dict[str, tuple[Verdict, str]] = {
    "7": (
        returning(7),
        "InvalidInput: the reviewer for 'paint' returned 7; it must return a grade",
    ),
    "-0.1": (returning(-0.1), "returned -0.1"),
    "nan": (returning(math.nan), "returned nan"),
    "text": (returning("fine"), "returned 'fine'"),
    "a Review of 2": (returning(Review(2.0, "!")), "returned (2.0, '!')"),
    "an error": (raising(KeyError("x")), "KeyError: 'x'"),
}


def paint(task: Task) -> str:
    return f"a picture of {task.data}"


def painter(name: str, **options: Any) -> WorkerAgent:
    worker = WorkerAgent(name, 5, **options)
    worker.task("paint")(paint)
    return worker


def reviewer(name: str, verdict: Verdict, *, is_async: bool = False) -> WorkerAgent:
    worker = WorkerAgent(name, 5)
    if is_async:

        async def look(task: Task, result: TaskResult, context: TaskContext) -> Any:
            assert (task.data, result.output, context.attempt) == ("a cat", "a picture of a cat", 2)
            return verdict()

        worker.review("paint")(look)
    else:
        worker.review("paint")(lambda task, result: verdict())
    return worker


def run(workers: list[WorkerAgent], *tasks: Task, **options: Any) -> TaskManager:
    manager = TaskManager(list(tasks), len(workers), quiet=True, **options)
    run_in_virtual_time(rehearse(manager, workers))
    return manager


def picture(**fields: Any) -> Task:
    return Task(id=1, description="paint", type="paint", data="a cat", review=True, **fields)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("case", ACCEPTED)
def test_what_accepts_a_result(case: str, is_async: bool) -> None:
    verdict, grade = ACCEPTED[case]
    manager = run([painter("Ada"), reviewer("Ben", verdict, is_async=is_async)], picture())
    (result,) = manager.task_results
    assert (result.worker, result.success, result.quality) == ("Ada", True, grade)
    assert result.output == "a picture of a cat"


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("case", REJECTED)
def test_what_rejects_a_result(case: str, is_async: bool) -> None:
    verdict, error = REJECTED[case]
    manager = run([painter("Ada"), reviewer("Ben", verdict, is_async=is_async)], picture())
    (result,) = manager.task_results
    assert (result.worker, result.success, result.error_message) == ("Ada", False, error)
    assert manager.report().workers["Ada"].succeeded == 0


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_verdict_is_an_error_of_the_reviewer(case: str) -> None:
    verdict, error = WRONG[case]
    manager = run([painter("Ada"), reviewer("Ben", verdict)], picture())
    (result,) = manager.task_results
    assert result.error_message is not None
    assert result.error_message.startswith("review failed: 3 times, last at Ben: ")
    assert error in result.error_message
    assert manager.report().workers["Ada"].succeeded == 1


def review_in_a_process(task: Task, result: TaskResult) -> Any:
    if "dog" in result.output:
        raise Rejected("a dog")
    return Review(0.9, "fine")


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize(("animal", "quality"), [("a cat", 0.9), ("a dog", 0.0)])
def test_reviewers_run_in_the_workers_executor(animal: str, quality: float) -> None:
    ben = WorkerAgent("Ben", 5, executor=lambda: ProcessPool(1))
    ben.review("paint")(review_in_a_process)

    async def story() -> TaskManager:
        manager = TaskManager([picture().model_copy(update={"data": animal})], 2, quiet=True)
        await rehearse(manager, [painter("Ada"), ben])
        return manager

    (result,) = asyncio.run(story()).task_results
    assert result.quality == quality


def test_a_rejected_task_is_done_again_by_another_worker() -> None:
    def judge(task: Task, result: TaskResult) -> bool:
        return result.worker != "Ada"

    workers = [painter("Ada"), painter("Ben"), WorkerAgent("Cara", 5)]
    workers[2].review("paint")(judge)
    manager = run(workers, picture(max_attempts=2))
    (result,) = manager.task_results
    assert (result.worker, result.attempt, result.quality) == ("Ben", 3, 1.0)
    history = [(each.worker, each.is_review) for each in manager.report().tasks[0].history]
    assert history == [("Ada", False), ("Cara", True), ("Ben", False), ("Cara", True)]


def test_an_own_handle_task_runs_tasks_and_reviewers_review() -> None:
    class Own(WorkerAgent):
        async def handle_task(self, data: TaskAssignment, **_: Any) -> Any:
            assert data.reviewed is None
            return True

    workers = [Own("Ada", 5), Own("Ben", 5)]
    for worker in workers:
        worker.review("paint")(lambda task, result: 0.6)
    (result,) = run(workers, picture()).task_results
    assert (result.success, result.quality) == (True, 0.6)


def test_a_workers_own_grade_is_kept_until_a_reviewer_gives_one() -> None:
    def paint_badly(task: Task, context: TaskContext) -> str:
        context.quality(0.3)
        return "a blot"

    ada = WorkerAgent("Ada", 5)
    ada.task("paint")(paint_badly)
    tasks = [picture().model_copy(update={"id": 1}), Task(2, "paint", type="paint")]
    ben = WorkerAgent("Ben", 5)
    ben.review("paint")(lambda task, result: 0.8 if result.quality == 0.3 else 0.0)
    grades = {each.task_id: each.quality for each in run([ada, ben], *tasks).task_results}
    assert grades == {1: 0.8, 2: 0.3}


@pytest.mark.parametrize("grade", [-0.1, 1.1, math.nan])
def test_an_own_grade_out_of_range_fails_the_attempt(grade: float) -> None:
    ada = WorkerAgent("Ada", 5)

    @ada.task("paint")
    def grade_wrongly(task: Task, context: TaskContext) -> None:
        context.quality(grade)

    (result,) = run([ada], Task(1, "paint", type="paint")).task_results
    assert (
        result.error_message
        == f"InvalidInput: quality is {grade!r}; it must be a number from 0 to 1"
    )


def test_three_workers_vote_at_once_and_the_majority_counts() -> None:
    answers = {"Ada": 4, "Ben": 5, "Cara": 4.0}
    workers = [WorkerAgent(name, 5) for name in answers]
    for worker in workers:
        worker.task("add")(lambda task, answer=answers[worker.name]: answer)
    manager = run(workers, Task(1, "2 + 2", type="add", votes=3))
    (result,) = manager.task_results
    assert (result.output, result.quality) == (4, pytest.approx(2 / 3, abs=1e-6))
    report = manager.report()
    assert [each.worker for each in report.tasks[0].history] == ["Ada", "Ben", "Cara"]
    assert len({each.started_at for each in report.tasks[0].history}) == 1


def test_nobody_who_can_review_fails_the_task_with_that_reason() -> None:
    manager = run([painter("Ada"), painter("Ben")], picture(), unmatched_after_s=3.0)
    (task,) = manager.report().tasks
    assert task.status is TaskStatus.FAILED
    error = "nobody can review it: no connected worker has a reviewer for 'paint'"
    assert task.error_message == error
    assert manager.task_results == []


@pytest.mark.parametrize("kind", ["review", "vote"])
def test_what_came_of_a_review_or_a_vote_is_in_the_store(kind: str) -> None:
    memory = SharedRows()
    task = picture() if kind == "review" else Task(1, "paint", type="paint", votes=3)
    workers = [painter("Ada"), painter("Ben"), painter("Cara")]
    workers[2].review("paint")(lambda task, result: True)
    first = run(workers, task, store=MemoryStore(memory))
    second = TaskManager([], store=MemoryStore(memory), quiet=True)
    assert second.task_results == first.task_results
    (result,) = second.task_results
    assert (result.success, result.quality) == (True, 1.0)
    ended = [
        [each.outcome for each in board.tasks[1].attempts] for board in (first.board, second.board)
    ]
    assert ended[0] == ended[1]


def test_functions_that_can_be_no_reviewers_are_refused() -> None:
    handlers = Handlers()
    with pytest.raises(InvalidInput, match="a reviewer needs a type of task, not the blank ' '"):
        handlers.review(" ")
    with pytest.raises(InvalidInput, match=r"takes no result; write `def reviewer\("):
        handlers.review("paint")(lambda task: True)
    handlers.review("paint")(lambda task, result: True)
    with pytest.raises(InvalidInput, match="there is a reviewer for tasks of type 'paint' already"):
        handlers.review("paint")
    others = Handlers()
    others.review("paint")(lambda task, result, context: True)
    with pytest.raises(InvalidInput, match="there are two reviewers for tasks of type 'paint'"):
        handlers.update(others)
    with pytest.raises(InvalidInput, match="the reviewer for 'paint' takes a context"):
        WorkerAgent("Ben", 5, handlers=others, executor=ProcessPool(1))
    assert handlers.task_types == ()
    assert handlers.review_types == ("paint",)


def test_the_report_names_the_worker_whose_output_counts() -> None:
    """Not the reviewer, which had the last attempt."""
    writer, editor = WorkerAgent("Writer", 5), WorkerAgent("Editor", 5)
    writer.task("translate")(lambda task: "le thé")
    editor.review("translate")(lambda task, result: 0.9)

    async def main() -> tuple[str, list[str]]:
        task = Task(task_id="title", type="translate", review=True)
        manager = TaskManager([task], 2, quiet=True)
        (title,) = (await rehearse(manager, [writer, editor])).tasks
        return title.worker, [each.worker for each in title.history]

    assert run_in_virtual_time(main()) == ("Writer", ["Writer", "Editor"])
