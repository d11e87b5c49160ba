"""Plain functions in processes and threads of this machine, by real processes."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from muster.agents import Muster
from muster.agents.one_machine import pending_calls
from muster.agents.one_machine import workers as workers_module
from muster.messages import InvalidInput, MusterError, RunEnded, TaskFailed

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux"),
]

DEADLINE_S = 60.0


@dataclass
class Point:
    x: int
    y: int

    def moved(self, by: int) -> Point:
        return Point(self.x + by, self.y)


class Stubborn(Exception):
    """Can be pickled, and not be read again."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


def square(number: int) -> int:
    return number * number


async def square_slowly(number: int) -> int:
    await asyncio.sleep(0.01)
    return number * number


def fail(kind: str) -> None:
    if kind == "stubborn":
        raise Stubborn("this", "that")
    if kind == "exit":
        sys.exit(3)
    raise KeyError(kind)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


WAYS = [{"workers": 2}, {"threads": 2}]


@pytest.mark.parametrize("way", WAYS)
def test_functions_of_all_kinds_are_called_and_return_what_they_return(way: dict[str, int]) -> None:
    class Local(Point):
        pass

    with Muster(**way) as muster:
        assert list(muster.map(square, range(100))) == [n * n for n in range(100)]
        assert list(muster.map(pow, [2, 3], itertools.count())) == [1, 3]
        base = 10
        assert list(muster.map(lambda n: n + base, range(3))) == [10, 11, 12]
        assert muster.submit(square_slowly, number=7).result() == 49
        assert muster.submit(Point, 1, y=2).result() == Point(1, 2)
        assert muster.submit(Point(1, 2).moved, 3).result() == Point(4, 2)
        assert muster.submit(Local(1, 2).moved, 3).result() == Point(4, 2)
        assert type(muster.submit(Local, 1, 2).result()) is Local
        futures = [muster.submit(square, n) for n in (3, 4)]
        assert muster.gather(*futures) == [9, 16]
        assert {each.result() for each in muster.as_completed(futures)} == {9, 16}


def test_a_function_that_is_defined_anew_is_the_new_one() -> None:
    def answer() -> int:
        return 1

    first = answer

    def answer() -> int:  # type: ignore[no-redef]
        return 2

    with Muster(workers=1) as muster:
        calls = [muster.submit(each) for each in (first, answer, first, lambda: 3, answer)]
        assert muster.gather(*calls) == [1, 2, 1, 3, 2]


def test_calls_run_in_other_processes_at_the_same_time(tmp_path: Path) -> None:
    with Muster(workers=2) as muster:
        futures = [muster.submit(_meet, tmp_path) for _ in range(2)]
        pids = {each.result(DEADLINE_S) for each in futures}
    assert len(pids) == 2
    assert os.getpid() not in pids
    wait_until(lambda: not any(map(is_running, pids)))


def _meet(place: Path) -> int:
    (place / str(os.getpid())).touch()
    wait_until(lambda: len(list(place.iterdir())) == 2)
    return os.getpid()


def test_an_exception_is_raised_at_the_caller_with_its_traceback_there() -> None:
    with Muster(workers=1) as muster:
        with pytest.raises(KeyError, match="apples") as caught:
            muster.submit(fail, "apples").result()
        assert "in fail" in str(caught.value.__cause__)
        assert "raise KeyError(kind)" in str(caught.value.__cause__)
        assert "one_machine/" not in str(caught.value.__cause__).replace("tests/one_machine/", "")
        with pytest.raises(SystemExit):
            muster.submit(fail, "exit").result()
        with pytest.raises(TaskFailed, match="Stubborn: this and that") as caught_text:
            muster.submit(fail, "stubborn").result()
        assert "in fail" in str(caught_text.value.__cause__)
        with pytest.raises(TypeError, match="can't be pickled"):
            muster.submit(threading.Lock).result()
        # The process goes on.
        assert muster.submit(square, 2).result() == 4


def test_an_exception_ends_map_at_its_item() -> None:
    with Muster(threads=1) as muster:
        results = muster.map(lambda n: 1 // n, [1, 0, 1])
        assert next(results) == 1
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_a_call_that_takes_too_long_is_killed_and_the_next_one_is_served() -> None:
    with Muster(workers=1) as muster:
        pid = muster.submit(os.getpid).result(DEADLINE_S)
        call = muster.with_options(timeout=0.5).submit(time.sleep, DEADLINE_S)
        with pytest.raises(TaskFailed, match="timed out"):
            call.result(DEADLINE_S)
        wait_until(lambda: not is_running(pid))
        assert muster.submit(square, 3).result(DEADLINE_S) == 9


def _stay(note: Path) -> None:
    note.write_text(str(os.getpid()))
    time.sleep(DEADLINE_S)


def test_a_call_that_is_cancelled_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with Muster(workers=1) as muster:
        call = muster.submit(_stay, note)
        wait_until(lambda: note.exists() and bool(note.read_text()))
        assert call.cancel()
        assert call.cancel()
        wait_until(lambda: not is_running(int(note.read_text())))
        with pytest.raises(CancelledError):
            call.result()
        done = muster.submit(square, 3)
        assert done.result(DEADLINE_S) == 9
        assert not done.cancel()


def test_the_death_of_a_process_fails_its_call_alone_and_options_may_try_again(
    tmp_path: Path,
) -> None:
    with Muster(workers=1) as muster:
        calls = [muster.submit(os._exit, 1), muster.submit(square, 3)]
        with pytest.raises(BrokenProcessPool):
            calls[0].result(DEADLINE_S)
        assert calls[1].result(DEADLINE_S) == 9
        note = tmp_path / "was here"
        patient = muster.with_options(max_attempts=2, priority=1, description="try twice")
        assert patient.submit(_die_once, note).result(DEADLINE_S) == "alive"


def _die_once(note: Path) -> str:
    if not note.exists():
        note.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


async def test_in_a_running_loop_futures_are_awaited_and_the_loop_goes_on(tmp_path: Path) -> None:
    gate, last_gate = tmp_path / "gate", tmp_path / "last gate"
    async with Muster(workers=2) as muster:
        assert await muster.submit(square, 3) == 9
        assert await asyncio.gather(*(muster.submit(square, n) for n in range(3))) == [0, 1, 4]
        assert [each async for each in muster.map(square, range(5))] == [0, 1, 4, 9, 16]
        futures = [muster.submit(_wait_for, gate), muster.submit(square, 4)]
        done: list[Any] = []
        async for each in muster.as_completed(futures):
            done.append(await each)
            gate.touch()
        assert done == [16, "came"]
        last = muster.submit(_wait_for, last_gate)
        asyncio.get_running_loop().call_later(0.05, last_gate.touch)
    # So the loop went on while the block waited for it.
    assert last.result(0) == "came"


async def test_in_a_running_loop_a_plain_with_works_as_in_a_notebook() -> None:
    with Muster(threads=2) as muster:
        assert list(muster.map(square, range(3))) == [0, 1, 4]
        assert await muster.submit(square, 3) == 9


def _sleep_and_return(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def _wait_for(gate: Path) -> str:
    wait_until(gate.exists)
    return "came"


@pytest.mark.parametrize("way", WAYS)
def test_a_call_gets_the_results_of_the_futures_among_its_arguments(
    way: dict[str, int], tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with Muster(**way) as muster:
        parts = [muster.submit(_sleep_and_return, n / 100) for n in (3, 0, 2)]
        total = muster.submit(sum, parts)
        text = muster.submit(
            lambda first, rest, *, last: f"{first} {rest} {last}", total, 2, last=total
        )
        assert text.result(DEADLINE_S) == "0.05 2 0.05"
        failing = muster.submit(fail, "apples")
        after = muster.submit(square, muster.submit(square, failing))
        with pytest.raises(KeyError, match="apples"):
            after.result(DEADLINE_S)
        slow = muster.submit(_wait_for, gate)
        follows = muster.submit(len, slow)
        assert follows.cancel()
        gate.touch()
        assert slow.result(DEADLINE_S) == "came"
        last = muster.submit(square, muster.submit(square, 3))
    # `with` waits for those too that wait for others.
    assert last.result(0) == 81


def test_a_callback_of_a_future_may_submit() -> None:
    second: list[Any] = []
    with Muster(threads=1) as muster:
        first = muster.submit(square, 3)
        first.add_done_callback(lambda done: second.append(muster.submit(square, done.result())))
        wait_until(lambda: bool(second))
        assert second[0].result(DEADLINE_S) == 81


def test_a_function_is_called_again_and_again(tmp_path: Path) -> None:
    note = tmp_path / "note"
    with Muster(workers=1) as muster:
        muster.schedule("pulse", _append, note, every_s=0.1)
        with pytest.raises(InvalidInput, match="cron"):
            muster.schedule("wrong", _append, note, cron="never")
        wait_until(lambda: note.exists() and len(note.read_text()) >= 3)


def _append(note: Path) -> None:
    with note.open("a") as file:
        file.write("x")


def test_map_takes_items_only_when_there_is_room() -> None:
    taken = 0

    def items() -> Any:
        nonlocal taken
        for number in itertools.count():
            taken = number
            yield number

    with Muster(threads=2) as muster:
        results = muster.map(square, items(), max_waiting=10)
        assert list(itertools.islice(results, 200)) == [n * n for n in range(200)]
        assert taken < 215


BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: Muster(workers=0), "workers is 0; it must be 1 or more"),
    (lambda: Muster(workers=1.5), "workers is 1.5"),  # type: ignore[arg-type]
    (lambda: Muster(threads=-1), "threads is -1"),
    (lambda: Muster(workers=1, threads=1), "exclude each other"),
    (lambda: Muster(threads=1).submit(3), "3 can't be called"),  # type: ignore[arg-type]
    (lambda: Muster(threads=1).map(square, [1], max_waiting=0), "max_waiting is 0"),
    (lambda: Muster(threads=1).with_options(timeout=-1), "timeout"),
    (lambda: Muster(threads=1).with_options(timeuot=1), "timeuot"),
]


@pytest.mark.parametrize(("make", "told"), BAD)
def test_bad_input_is_refused(make: Callable[[], Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        make()


def test_what_can_t_be_sent_is_refused_at_once_with_what_to_do() -> None:
    with Muster(workers=1) as muster:
        with pytest.raises(InvalidInput, match="threads=…"):
            muster.submit(print, threading.Lock())
        assert muster.submit(square, 3).result() == 9


def test_it_starts_by_itself_and_says_when_it_was_stopped() -> None:
    muster = Muster(threads=1)
    assert muster.submit(square, 3).result() == 9
    endless = muster.submit(threading.Event().wait, 1.0)
    muster.stop()
    muster.stop()
    assert endless.cancelled()
    with pytest.raises(RunEnded, match="stopped"):
        muster.submit(square, 3)


def test_the_manager_tells_about_the_calls_and_forgets_old_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pending_calls, "KEPT_CALLS", 100)
    monkeypatch.setattr(pending_calls, "FORGOTTEN_AT_ONCE", 10)
    with Muster(threads=2) as muster:
        assert sum(muster.map(square, range(300))) == sum(n * n for n in range(300))
        report = muster.report()
        assert 100 <= len(report.tasks) <= 120
        tasks = report.tasks
        assert {task.type for task in tasks} == {"square"}
        assert "square(299)" in {task.description for task in tasks}
        assert not muster._pending._calls
        assert not muster._pending.futures


@pytest.mark.slow
def test_where_nothing_can_be_forked_importable_functions_are_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers_module, "can_fork", lambda: False)
    with Muster(workers=1) as muster:
        assert list(muster.map(abs, [-1, 2])) == [1, 2]
        with pytest.raises(InvalidInput, match="no lambdas"):
            muster.submit(lambda: 3)
        with pytest.raises(BrokenProcessPool):
            muster.submit(os._exit, 1).result(DEADLINE_S)
        assert muster.submit(abs, -3).result(DEADLINE_S) == 3


SCRIPT = """
import os, sys, time
from muster.agents import Muster

def stay(number):
    # In one piece: where output is not buffered, `print` writes the newline by itself.
    sys.stdout.write(f"{os.getpid()}\\n")
    sys.stdout.flush()
    time.sleep(600)

with Muster(workers=2) as muster:
    print(sum(muster.map(lambda n: n, range(5))), flush=True)
    muster.gather(*[muster.submit(stay, n) for n in range(2)])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_script_without_a_guard_ends_with_all_of_its_processes(
    number: signal.Signals, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    process = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "10"
        pids = [int(process.stdout.readline()) for _ in range(2)]
        process.send_signal(number)
        _, told = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: not any(map(is_running, pids)))
    if number is signal.SIGINT:
        assert told.rstrip().endswith("KeyboardInterrupt")


def test_errors_of_muster_are_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with Muster(threads=1) as muster:
        failing = muster.with_options(expires_s=0.01)
        first = muster.submit(_wait_for, gate)
        late = failing.submit(square, 1)
        with pytest.raises(MusterError, match="expired"):
            late.result(DEADLINE_S)
        gate.touch()
        first.result()
