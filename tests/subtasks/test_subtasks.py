"""A handler submits subtasks and waits for them, and finds them when it is begun again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from muster.agents import (
    MemoryNetwork,
    MemoryStore,
    TaskContext,
    TaskManager,
    WorkerAgent,
    rehearse,
    run_in_virtual_time,
)
from muster.agents.execution.subtask_ids import make_subtask_id
from muster.agents.manager import subtasks
from muster.agents.store.memory import SharedRows
from muster.messages import IllegalTransition, Limit, Task, TaskFailed, TaskResult, TaskStatus


def play(
    workers: WorkerAgent | list[WorkerAgent],
    tasks: list[Task],
    direct: Callable[..., Any] | None = None,
    **options: Any,
) -> Any:
    """The board at the end of a run of the tasks."""
    crew = workers if isinstance(workers, list) else [workers]
    manager = TaskManager(tasks, len(crew), quiet=True, **options)

    async def run() -> None:
        directing = asyncio.ensure_future(direct(manager)) if direct else None
        await rehearse(manager, crew)
        if directing is not None:
            await directing

    run_in_virtual_time(run())
    return manager.board


def output(board: Any, task_id: Any = 1) -> Any:
    record = board.find(task_id)
    assert record.status is TaskStatus.COMPLETED, (record.error_message, record.error_traceback)
    return record.result.output


def family(board: Any) -> dict[Any, Any]:
    return {task_id: record.task.parent_id for task_id, record in board.tasks.items()}


def adder(**options: Any) -> WorkerAgent:
    worker = WorkerAgent("Ada", 5, **options)

    @worker.task("add")
    async def add(task: Task) -> int:
        await asyncio.sleep(0.1)
        return sum(task.data)

    @worker.task("double")
    async def double(task: Task) -> int:
        return 2 * int(task.data)

    return worker


def test_a_handler_waits_for_its_subtasks_with_one_slot() -> None:
    worker = adder()

    @worker.task("all")
    async def total(task: Task, context: TaskContext) -> list[Any]:
        one = await context.submit("add", [1, 2])
        two, three = context.submit("add", [one, 1]), context.submit(Task(type="add", data=[5]))
        rest = await context.gather(two, three)
        doubled = await context.map("double", range(5))
        also = await asyncio.gather(context.submit("add", [8]), context.submit("add", [9]))
        return [one, *rest, doubled, also]

    board = play(worker, [Task(id=1, type="all")])
    assert output(board) == [3, 4, 5, [0, 2, 4, 6, 8], [8, 9]]
    parts = [f"1/4.{number}" for number in range(1, 6)]
    assert family(board) == {
        1: None,
        **dict.fromkeys(["1/1", "1/2", "1/3", *parts, "1/5", "1/6"], 1),
    }


def test_in_threads_a_subtask_is_waited_for_by_its_result() -> None:
    worker = adder()

    @worker.task("all")
    def total(task: Task, context: TaskContext) -> list[Any]:
        one = context.submit("add", [1, 2]).result()
        rest = context.gather(context.submit("add", [one, 1]), context.submit("add", [5])).result()
        return [one, *rest, context.map("double", [1, 2]).result()]

    manager = TaskManager([Task(id=1, type="all")], 1, quiet=True)
    asyncio.run(asyncio.wait_for(rehearse(manager, [worker]), 60))
    assert output(manager.board) == [3, 4, 5, [2, 4]]


def nesting(worker: WorkerAgent) -> None:
    @worker.task("nest")
    async def nest(task: Task, context: TaskContext) -> int:
        if not task.data:
            return 0
        return 1 + int(await context.submit("nest", task.data - 1, limit_key=task.limit_key))


@pytest.mark.parametrize(
    "limits",
    [
        (),
        (Limit("nest", concurrent=1),),
        (Limit(concurrent=1), Limit(each_key=True, concurrent=1), Limit("nest", concurrent=2)),
    ],
    ids=["unlimited", "type", "all and key"],
)
def test_fifty_nested_tasks_need_one_worker_with_one_slot(limits: tuple[Limit, ...]) -> None:
    worker = WorkerAgent("Ada", 5)
    nesting(worker)
    task = Task(id="the one", type="nest", data=50, limit_key="customer-7")
    board = play(worker, [task], limits=limits)
    assert output(board, "the one") == 50
    assert len(board.tasks) == 51
    assert all(len(str(task_id)) <= 200 for task_id in board.tasks)


@pytest.mark.parametrize("question", [False, True], ids=["subtasks", "questions"])
def test_handlers_that_wait_leave_their_limits_to_others_and_never_pass_them(
    question: bool,
) -> None:
    workers = [WorkerAgent(name, 5, slots=3) for name in ("Ada", "Bob")]
    active: Counter[str] = Counter()
    most: Counter[str] = Counter()

    async def work(key: str) -> None:
        active[key] += 1
        most[key] = max(most[key], active[key])
        await asyncio.sleep(0.5)
        active[key] -= 1

    async def nest(task: Task, context: TaskContext) -> int:
        assert task.limit_key is not None
        await work(task.limit_key)
        if question:
            await context.ask("Go on?", ["yes"], expires_s=1.0, default="yes")
        elif task.data:
            await context.map("nest", [task.data - 1] * 3, limit_key=task.limit_key)
        await work(task.limit_key)
        return 1

    for worker in workers:
        worker.task("nest")(nest)
    tasks = [Task(id=n, type="nest", data=2, limit_key="abc"[n % 3]) for n in range(1, 10)]
    board = play(workers, tasks, limits=[Limit(concurrent=4), Limit(each_key=True, concurrent=2)])
    assert len(board.tasks) == (9 if question else 9 * 13)
    assert board.counts[TaskStatus.COMPLETED] == len(board.tasks)
    assert set(most.values()) == {2}


def test_ids_stay_short_at_any_depth() -> None:
    task_id, seen = "x" * 200, set()
    for _ in range(300):
        task_id = make_subtask_id(task_id, "/1")
        assert len(task_id) <= 200
        seen.add(task_id)
    assert len(seen) == 300


@pytest.mark.parametrize("how", ["attempt fails", "key", "worker lost"])
def test_a_parent_that_is_begun_again_finds_the_results_of_its_subtasks(how: str) -> None:
    done: Counter[Any] = Counter()
    begun = 0

    def crew(name: str) -> WorkerAgent:
        worker = WorkerAgent(name, 5)

        @worker.task("part")
        async def part(task: Task) -> Any:
            done[task.data] += 1
            return task.data

        @worker.task("all")
        async def all_parts(task: Task, context: TaskContext) -> Any:
            nonlocal begun
            begun += 1
            numbers = list(range(4))
            if how == "key":
                numbers = numbers[::-1] if begun > 1 else numbers
                parts = [context.submit("part", number, key=f"no {number}") for number in numbers]
                found = sorted(await context.gather(*parts))
            else:
                found = await context.map("part", numbers)
            if begun == 1:
                if how == "worker lost":
                    worker._shell.leave("gone")
                    await asyncio.sleep(60)
                raise ValueError("the first time")
            return found

        return worker

    task = Task(id=1, type="all", max_attempts=2)
    board = play([crew("Ada"), crew("Bob")], [task])
    assert output(board) == [0, 1, 2, 3]
    assert begun == 2
    assert dict(done) == dict.fromkeys(range(4), 1)


def test_a_subtask_that_failed_begins_anew_with_its_parent() -> None:
    worker, tried = WorkerAgent("Ada", 5), 0

    @worker.task("part")
    async def part(task: Task) -> str:
        nonlocal tried
        tried += 1
        if tried == 1:
            raise ValueError("no")
        return "done"

    @worker.task("all")
    async def all_parts(task: Task, context: TaskContext) -> Any:
        await asyncio.sleep(1.0)
        return await context.submit("part")

    board = play(worker, [Task(id=1, type="all", max_attempts=2)])
    assert output(board) == "done"
    assert family(board) == {1: None, "1/1": 1}


@pytest.mark.parametrize("unwrap", [True, False])
@pytest.mark.parametrize("call", ["submit", "map", "gather"])
def test_the_failure_of_a_subtask_is_raised_unless_its_result_is_asked_for(
    call: str, unwrap: bool
) -> None:
    worker = WorkerAgent("Ada", 5)

    @worker.task("part")
    async def part(task: Task) -> Any:
        if task.data == 2:
            raise ValueError("no")
        return task.data

    @worker.task("all")
    async def all_parts(task: Task, context: TaskContext) -> Any:
        try:
            match call:
                case "submit":
                    got = [await context.submit("part", 2, unwrap=unwrap)]
                case "map":
                    got = await context.map("part", [2, 3], unwrap=unwrap)
                case _:
                    parts = [context.submit("part", data, unwrap=unwrap) for data in (2, 3)]
                    got = await context.gather(*parts)
        except TaskFailed as fault:
            return str(fault)
        assert all(isinstance(each, TaskResult) for each in got)
        return got[0].error_message

    board = play(worker, [Task(id=1, type="all")])
    assert "ValueError: no" in output(board)
    assert ("Task" in output(board) or "task" in output(board)) is unwrap


@pytest.mark.parametrize("on_parent_cancel", ["cancel", "keep"])
@pytest.mark.parametrize("end", ["cancelled", "failed"])
def test_subtasks_are_cancelled_with_their_parent_or_go_on_as_asked(
    end: str, on_parent_cancel: Any
) -> None:
    worker, done = WorkerAgent("Ada", 5, slots=2), []

    @worker.task("part")
    async def part(task: Task, context: TaskContext) -> Any:
        await asyncio.sleep(5.0)
        if task.data:
            await context.submit("part", task.data - 1)
        done.append(task.id)

    @worker.task("all")
    async def all_parts(task: Task, context: TaskContext) -> None:
        inner = context.submit("part", 1, on_parent_cancel=on_parent_cancel)
        if end == "failed":
            await asyncio.sleep(1.0)
            raise ValueError("no")
        await inner

    async def direct(manager: TaskManager) -> None:
        await asyncio.sleep(7.0)
        if end == "cancelled":
            manager.cancel_task(1)

    board = play(worker, [Task(id=1, type="all")], direct)
    assert board.find(1).status.value == end
    if on_parent_cancel == "cancel":
        assert board.find("1/1").status is TaskStatus.CANCELLED
        told = "was cancelled" if end == "cancelled" else "failed"
        assert board.find("1/1").error_message == f"cancelled: its parent, task 1, {told}"
        assert not [each for each in board.tasks.values() if not each.status.is_final]
        assert done == []
    else:
        assert done == ["1/1/1", "1/1"]


def test_what_was_begun_is_finished_before_other_tasks_begin() -> None:
    """Or a worker would begin all parents before it does any of their subtasks."""
    worker, most = adder(), 0
    waiting = 0

    @worker.task("all")
    async def total(task: Task, context: TaskContext) -> Any:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        result = await context.submit("add", [1, await context.submit("double", 3)])
        waiting -= 1
        return result

    board = play(worker, [Task(type="all") for _ in range(100)], prefetch_s=0.0)
    assert board.counts[TaskStatus.COMPLETED] == 300
    assert most <= 3


BAD_CALLS: dict[str, tuple[Callable[[TaskContext], Any], str]] = {
    "key too long": (lambda c: c.submit("add", key="k" * 101), "InvalidInput: key is 'kkk"),
    "blank key": (lambda c: c.submit("add", key=" "), "InvalidInput: key is ' '; it must be text"),
    "own id": (lambda c: c.submit("add", id=7), "InvalidInput: a subtask's id can't be given"),
    "no type": (lambda c: c.submit(""), "InvalidInput: '' is neither a Task nor the type"),
    "a number": (lambda c: c.submit(7), "InvalidInput: 7 is neither a Task nor the type"),
    "bad field": (lambda c: c.submit("add", votes=2), "InvalidTask: the subtask is invalid: votes"),
    "bad choice": (
        lambda c: c.submit("add", on_parent_cancel="stop"),
        "InvalidInput: on_parent_cancel is 'stop'; it must be 'cancel' or 'keep'",
    ),
    "data twice": (
        lambda c: c.submit(Task(type="add"), [1]),
        "InvalidInput: a task is submitted as it is",
    ),
    "text": (lambda c: c.map("add", "text"), "InvalidInput: items is 'text'; it must be a list"),
    "no subtask": (lambda c: c.gather(c.task), "InvalidInput: gather takes what context.submit"),
    "no plain form": (lambda c: c.submit("add", object()), "EncodeError: "),
    "unknown": (
        lambda c: c.submit("add", [1], depends_on=("none",)),
        "UnknownDependency: task '1/1' depends on 'none', which was not added",
    ),
    "cycle": (
        lambda c: c.submit("add", [1], depends_on=(1,)),
        "DependencyCycle: task '1/1' depends on 1, its own ancestor, which may wait for it",
    ),
    "same key": (
        lambda c: c.gather(c.submit("add", [1], key="k"), c.submit("add", [2], key="k")),
        "DuplicateTask: a different task with the id '1:k' already exists: data is [1] there",
    ),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_input_is_refused_with_what_would_be_right(case: str) -> None:
    call, expected = BAD_CALLS[case]
    worker = adder()

    @worker.task("all")
    async def all_parts(task: Task, context: TaskContext) -> Any:
        return await call(context)

    board = play(worker, [Task(id=1, type="all")])
    assert (board.find(1).error_message or "").startswith(expected)


def test_a_handler_without_a_manager_submits_nothing() -> None:
    worker = adder()

    @worker.task("all")
    async def all_parts(task: Task, context: TaskContext) -> Any:
        return await context.submit("add", [1])

    result = run_in_virtual_time(worker.execute_task(Task(id=1, type="all")))
    assert (result.error_message or "").startswith("InvalidInput: this handler runs without a man")


def test_a_handler_that_submits_itself_for_ever_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subtasks, "MAX_DEPTH", 10)
    worker = WorkerAgent("Ada", 5)

    @worker.task("again")
    async def again(task: Task, context: TaskContext) -> Any:
        return await context.submit("again")

    board = play(worker, [Task(id=1, type="again")])
    assert len(board.tasks) < 12
    assert "subtasks are nested 10 deep" in board.find(1).error_message


def test_an_attempt_that_has_ended_submits_nothing() -> None:
    worker, said = adder(slots=2), []

    @worker.task("other")
    async def other(task: Task) -> None:
        await asyncio.sleep(10)

    @worker.task("late")
    async def late(task: Task, context: TaskContext) -> Any:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            try:
                await context.submit("add", [1])
            except IllegalTransition as fault:
                said.append(str(fault))

    play(worker, [Task(id=1, type="late", timeout=1.0), Task(id=2, type="other")])
    assert said == ["attempt 1 at task 1 has ended, so it can't submit subtasks"]


def test_a_subtask_that_nobody_waits_for_goes_on_when_its_parent_is_done() -> None:
    worker = adder()

    @worker.task("all")
    async def all_parts(task: Task, context: TaskContext) -> str:
        context.submit("add", [1])
        return "done"

    board = play(worker, [Task(id=1, type="all")])
    assert board.find("1/1").status is TaskStatus.COMPLETED
    assert worker._shell._requests._waiting == {}


def test_requests_are_repeated_to_a_manager_that_takes_over() -> None:
    """One that resumes the run from its store while the handler waits."""
    worker, store, begun = adder(), SharedRows(), []

    @worker.task("all")
    async def all_parts(task: Task, context: TaskContext) -> Any:
        begun.append(context.attempt)
        first = await context.submit("slow", 5.0)
        return [first, *await context.map("slow", [5.0, 5.0])]

    @worker.task("slow")
    async def slow(task: Task) -> Any:
        await asyncio.sleep(task.data)
        return task.data

    async def story() -> Any:
        network = MemoryNetwork()
        worker.dials_again = True
        serving = asyncio.ensure_future(
            worker.serve_over(network.join("Ada", worker.receive), session="1")
        )
        for number in range(1, 20):
            manager = TaskManager([Task(id=1, type="all")], 1, quiet=True, name="boss")
            manager.keep_in(MemoryStore(store))
            link = network.join(f"boss {number}", manager.receive)
            running = asyncio.ensure_future(manager.serve_over(link, session=f"{number}"))
            await asyncio.wait([running], timeout=1.7 if number < 9 else None)
            if running.done():
                break
            # As a killed process ends.
            link.leave()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            store.release()
        serving.cancel()
        return number, manager.board

    managers, board = run_in_virtual_time(story())
    assert managers > 5
    assert output(board) == [5.0, 5.0, 5.0]
    assert begun == [1]
    assert len(board.tasks) == 4
