"""What a handler raised is seen: logged, and sent with the result as a bounded traceback."""

from __future__ import annotations

import asyncio
import logging
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest
from muster.agents import TaskManager, WorkerAgent, rehearse
from muster.agents.execution.process_pool import ProcessPool
from muster.agents.runtime.error_text import describe_fault
from muster.agents.runtime.error_traceback import MAX_FRAMES, format_traceback
from muster.messages import (
    Task,
    TaskAssignment,
    TaskFailed,
    TaskResult,
    UnknownName,
    decode_message,
    encode_message,
)
from muster.messages.work import MAX_TRACEBACK_CHARACTERS

MAY_TAKE_S = 60.0
HERE = __file__


def fall(task: Task) -> None:
    stumble(task.data)


def stumble(text: str) -> None:
    secret = "not to be told"  # noqa: F841 - a local variable
    raise ValueError(f"no tea called {text}")


def chain(task: Task) -> None:
    try:
        {}["kettle"]
    except KeyError as fault:
        raise RuntimeError("can't boil") from fault


def nest(task: Task) -> None:
    try:
        {}["kettle"]
    except KeyError:
        int("seven")


def deny(task: Task) -> None:
    try:
        {}["kettle"]
    except KeyError:
        raise RuntimeError("can't boil") from None


def leave(task: Task) -> None:
    sys.exit(3)


def stop(task: Task) -> None:
    next(iter(()))


def recurse(task: Task) -> None:
    recurse(task)


def shout(task: Task) -> None:
    raise ValueError("x" * 100_000)


def ring(task: Task) -> None:
    raise ValueError("\x1b]0;owned\x07\x1b[2J")


def noted(task: Task) -> None:
    fault = ValueError("a")
    fault.__notes__ = ["look in the cupboard"]
    raise fault


HANDLERS: dict[Callable[[Task], None], tuple[list[str], list[str]]] = {
    fall: (
        ["in fall", "in stumble", "stumble(task.data)", "ValueError: no tea called Assam"],
        ["not to be told"],
    ),
    chain: (["KeyError: 'kettle'", "direct cause", "RuntimeError: can't boil"], []),
    nest: (["KeyError: 'kettle'", "During handling", "ValueError: invalid literal"], []),
    deny: (["RuntimeError: can't boil"], ["KeyError: 'kettle'"]),
    leave: (["in leave", "SystemExit: 3"], []),
    stop: (["in stop", "StopIteration"], []),
    recurse: (["in recurse", "RecursionError"], []),
    shout: (["in shout", "ValueError: xxx", "characters …"], []),
    ring: (["ValueError: \\x1b]0;owned\\x07"], ["\x1b", "\x07"]),
    noted: (["ValueError: a\nlook in the cupboard"], []),
}


async def in_the_loop(function: Callable[[Task], None], task: Task) -> None:
    function(task)


def run(
    function: Callable[..., Any], make: Callable[[], Executor] | None = None, **options: Any
) -> tuple[TaskManager, Any]:
    worker = WorkerAgent("Ada", 5, executor=make, **options)
    worker.task("brew")(function)
    manager = TaskManager([Task(task_id=1, type="brew", data="Assam")], 1, quiet=True)
    report = asyncio.run(asyncio.wait_for(rehearse(manager, [worker]), MAY_TAKE_S))
    return manager, report.tasks[0]


def check(function: Callable[..., Any], traceback: str | None) -> None:
    told, untold = HANDLERS[function]
    assert traceback is not None
    for each in told:
        assert each in traceback
    for each in [*untold, "/agents/execution/", "/agents/worker/", "concurrent/futures"]:
        assert each not in traceback
    assert len(traceback) <= MAX_TRACEBACK_CHARACTERS
    assert traceback.count('  File "') <= 2 * MAX_FRAMES
    assert traceback.startswith("Traceback (most recent call last):")
    first = next(line for line in traceback.splitlines() if line.startswith("  File "))
    assert HERE in first


@pytest.mark.parametrize("function", HANDLERS)
@pytest.mark.parametrize("way", ["threads", "loop"])
def test_the_traceback_of_a_handler_is_in_its_result(
    function: Callable[[Task], None], way: str
) -> None:
    async def handle(task: Task) -> None:
        function(task)

    manager, task = run(function if way == "threads" else handle)
    check(function, task.error_traceback)
    result = manager.get_task_result(1)
    assert result.error_traceback == task.error_traceback
    assert decode_message(encode_message(result)) == result


class Counting(WorkerAgent):
    """A worker of the user's own, whose method calls the worker's."""

    async def handle_task(self, data: Any, time: int = 0, agent: Any = None) -> Any:
        return await super().handle_task(data)


def test_no_frame_of_ours_stands_between_those_of_the_user() -> None:
    worker = Counting("Ada", 5)
    worker.task("brew")(fall)
    manager = TaskManager([Task(task_id=1, type="brew", data="Assam")], 1, quiet=True)
    report = asyncio.run(asyncio.wait_for(rehearse(manager, [worker]), MAY_TAKE_S))
    traceback = report.tasks[0].error_traceback
    check(fall, traceback)
    assert traceback is not None
    assert "in Counting.handle_task" in traceback or "in handle_task" in traceback


@pytest.mark.processes
@pytest.mark.parametrize(
    "function",
    [
        fall,
        pytest.param(chain, marks=pytest.mark.slow),
        pytest.param(leave, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    "make",
    [
        lambda: ProcessPool(1),
        pytest.param(lambda: ProcessPoolExecutor(1, get_context("spawn")), marks=pytest.mark.slow),
    ],
    ids=["ProcessPool", "ProcessPoolExecutor"],
)
def test_the_traceback_comes_from_another_process_too(
    function: Callable[[Task], None], make: Callable[[], Executor]
) -> None:
    _, task = run(function, make)
    check(function, task.error_traceback)


def test_a_threads_executor_of_the_users_own_keeps_it_too() -> None:
    _, task = run(fall, lambda: ThreadPoolExecutor(1))
    check(fall, task.error_traceback)


def test_a_worker_can_keep_its_tracebacks_to_itself(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "muster"):
        _, task = run(fall, send_tracebacks=False)
    assert task.error_traceback is None
    assert task.error_message == "ValueError: no tea called Assam"
    assert "in stumble" in caplog.text


def test_a_failure_without_code_of_the_user_has_no_traceback() -> None:
    worker = WorkerAgent("Ada", 5)
    worker.task("other")(fall)
    with pytest.raises(UnknownName) as raised:
        asyncio.run(worker.handlers.run(assignment_of("brew"), None))
    # The first frame is that of this test.
    assert raised.value.__traceback__ is not None
    fault = raised.value.with_traceback(raised.value.__traceback__.tb_next)
    assert format_traceback(fault) is None


def assignment_of(task_type: str) -> Any:

    return TaskAssignment(task=Task(task_id=1, type=task_type), worker="Ada")


# ------------------------------------------------------------------------------------ the log


def test_the_worker_logs_each_kind_of_failure_once_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker = WorkerAgent("Ada", 5)

    @worker.task("fall")
    async def _(task: Task) -> None:
        fall(task)

    @worker.task("leave")
    async def _(task: Task) -> None:
        leave(task)

    tasks = [Task(task_id=i, type="fall" if i % 2 else "leave", data="x") for i in range(1, 9)]
    manager = TaskManager(tasks, 1, quiet=True, quarantine_after=None)
    with caplog.at_level(logging.INFO, "muster"):
        asyncio.run(asyncio.wait_for(rehearse(manager, [worker]), MAY_TAKE_S))
    told = [each for each in caplog.records if "an attempt failed" in each.getMessage()]
    assert [each.levelname for each in told].count("WARNING") == 2
    assert len(told) == 8
    for each in told:
        assert "worker='Ada'" in each.getMessage()
        assert "attempt=1" in each.getMessage()
        assert "Traceback (most recent call last):" in each.getMessage()


# ------------------------------------------------------------------------------------ unwrap


def test_unwrap_returns_the_output() -> None:
    assert TaskResult(task_id=1, worker="Ada", success=True, output=[7]).unwrap() == [7]


def test_unwrap_raises_all_that_is_known_of_the_error() -> None:
    manager, _ = run(fall)
    with pytest.raises(TaskFailed) as raised:
        manager.get_task_result(1).unwrap()
    fault = raised.value
    for each in (fault, pickle.loads(pickle.dumps(fault))):
        assert str(each) == "task 1 failed in attempt 1 at Ada: ValueError: no tea called Assam"
        assert each.error_type == "ValueError"
        assert each.error_message == "ValueError: no tea called Assam"
        assert (each.task_id, each.worker, each.attempts) == (1, "Ada", 1)
        check(fall, each.traceback)
        assert "in stumble" in str(each.__cause__)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (
            TaskResult(task_id="t", worker="", success=False, error_message="cancelled: so"),
            "task 't' failed: cancelled: so",
        ),
        (
            TaskResult(task_id=2, worker="Bo", success=False, attempt=3),
            "task 2 failed in attempt 3 at Bo: failed: no reason given",
        ),
        (
            TaskResult(
                task_id=2, worker="Bo", success=False, declined=True, error_message="no eyes"
            ),
            "task 2 failed in attempt 1 at Bo: no eyes",
        ),
    ],
)
def test_unwrap_raises_without_a_traceback_too(result: TaskResult, message: str) -> None:
    with pytest.raises(TaskFailed) as raised:
        result.unwrap()
    assert str(raised.value) == message
    assert raised.value.traceback is None


# ------------------------------------------------------------------------------------ groups


def throw(fault: BaseException) -> None:
    raise fault


def raised_by(function: Callable[[], None]) -> BaseException:
    try:
        function()
    except Exception as fault:  # noqa: BLE001
        return fault
    raise AssertionError("nothing was raised")


class Group(Exception):
    """As exception groups are, in Python 3.10 too."""

    def __init__(self, *parts: BaseException) -> None:
        super().__init__("several")
        self.exceptions = parts


Group.__name__ = "ExceptionGroup"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (
            Group(ValueError("a"), KeyError("b")),
            "ExceptionGroup: 2 errors: ValueError: a; KeyError: 'b'",
        ),
        (Group(ValueError("a")), "ExceptionGroup: 1 error: ValueError: a"),
        (
            Group(Group(ValueError("a")), KeyError("c")),
            "ExceptionGroup: 2 errors: ExceptionGroup: 1 error: ValueError: a; KeyError: 'c'",
        ),
        (
            Group(*(ValueError(str(number)) for number in range(8))),
            "ExceptionGroup: 8 errors: "
            + "".join(f"ValueError: {number}; " for number in range(5))
            + "and 3 more",
        ),
    ],
)
def test_a_group_names_its_parts(fault: BaseException, told: str) -> None:
    assert describe_fault(fault) == told


def test_the_traceback_of_a_group_has_those_of_its_parts() -> None:
    task = Task(task_id=1, data="Assam")
    parts = [raised_by(lambda: fall(task)), raised_by(lambda: chain(task))]
    text = format_traceback(raised_by(lambda: throw(Group(*parts))))
    assert text is not None
    for each in ("in stumble", "ValueError: no tea", "direct cause", "RuntimeError: can't boil"):
        assert each in text


def test_thousands_of_parts_and_contexts_are_bounded() -> None:
    fault: BaseException = ValueError("first")
    for number in range(5_000):
        outer = ValueError(str(number))
        outer.__context__ = fault
        fault = outer
    group = Group(*(ValueError(str(number)) for number in range(5_000)))
    group.__cause__ = fault
    text = format_traceback(raised_by(lambda: throw(group)))
    assert text is not None
    assert len(text) <= MAX_TRACEBACK_CHARACTERS


def test_a_circle_of_causes_ends() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    text = format_traceback(raised_by(lambda: throw(first)))
    assert text is not None
    assert text.count("ValueError: first") == 1


def test_a_long_traceback_of_a_peer_is_shortened_not_refused() -> None:
    result = TaskResult(task_id=1, worker="Ada", success=False, error_traceback="x" * 1_000_000)
    assert len(result.error_traceback or "") <= MAX_TRACEBACK_CHARACTERS
