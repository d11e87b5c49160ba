"""Handlers that end in every possible way, for simulations and tests.

Each function ends in the way that its name says. Plain functions run anywhere, and coroutines run
in a loop.
They leave nothing running.
"""

# The names are the documentation.
# ruff: noqa: D103
from __future__ import annotations

import asyncio
import builtins
import concurrent.futures
import inspect
import sys
import threading
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NoReturn

from ...messages import Payload, Task

_TOO_DEEP = 10_000


class Strange(BaseException):
    """Derived directly from BaseException, as few exceptions but the interpreter's are."""


class Unspeakable(Exception):
    """Its `str` and its `repr` raise."""

    def __str__(self) -> str:
        raise KeyboardInterrupt

    __repr__ = __str__


class Unpicklable(Exception):
    """Has an attribute that can't be pickled."""

    def __init__(self) -> None:
        super().__init__("holds a lock")
        self.lock = threading.Lock()


class Uncarriable:
    """Neither msgpack nor pickle can encode it; its `repr` is always the same."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __repr__(self) -> str:
        return "Uncarriable()"


class MadeOnce(Exception):
    """Can be pickled, but not unpickled."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


class BreaksAtHome(Exception):
    """Raises SystemExit when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[int], NoReturn], tuple[int]]:
        return sys.exit, (7,)


# ------------------------------------------------------------------------------- plain


def returns(task: Task) -> Payload:
    return {"of": task.id}


def raises(task: Task) -> Payload:
    raise KeyError(task.id)


def raises_cancelled(task: Task) -> Payload:
    raise asyncio.CancelledError


def raises_futures_cancelled(task: Task) -> Payload:
    raise concurrent.futures.CancelledError


def raises_stop_iteration(task: Task) -> Payload:
    return next(iter(()))


def raises_stop_async_iteration(task: Task) -> Payload:
    raise StopAsyncIteration


def raises_generator_exit(task: Task) -> Payload:
    raise GeneratorExit


def raises_keyboard_interrupt(task: Task) -> Payload:
    raise KeyboardInterrupt


def exits(task: Task) -> Payload:
    sys.exit(3)


def raises_strange(task: Task) -> Payload:
    raise Strange("of its own")


def raises_timeout(task: Task) -> Payload:
    raise asyncio.TimeoutError


def raises_recursion(task: Task) -> Payload:
    # The traceback tells how much of the stack was left, which depends on who simulates.
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(_recurse, task).result()


def _recurse(task: Task) -> Payload:
    return _recurse(task)


def raises_memory(task: Task) -> Payload:
    raise MemoryError


def raises_broken_pool(task: Task) -> Payload:
    raise BrokenProcessPool("of the handler's own")


def raises_unspeakable(task: Task) -> Payload:
    raise Unspeakable


def raises_unpicklable(task: Task) -> Payload:
    raise Unpicklable


def raises_made_once(task: Task) -> Payload:
    raise MadeOnce("this", "that")


def raises_breaks_at_home(task: Task) -> Payload:
    raise BreaksAtHome


def raises_lone_surrogate(task: Task) -> Payload:
    raise ValueError("file \udcff")


def raises_group(task: Task) -> Payload:
    raise _group("ExceptionGroup", ValueError("a part"))


def raises_group_of_cancellations(task: Task) -> Payload:
    raise _group("BaseExceptionGroup", asyncio.CancelledError(), asyncio.CancelledError())


def raises_group_with_an_exit(task: Task) -> Payload:
    raise _group("BaseExceptionGroup", KeyboardInterrupt(), SystemExit(3))


def returns_what_nobody_can_carry(task: Task) -> Payload:
    return {"here": Uncarriable()}


def returns_a_lone_surrogate(task: Task) -> Payload:
    return "file \udcff"


def returns_what_is_too_deep(task: Task) -> Payload:
    output: Payload = None
    for _ in range(_TOO_DEEP):
        output = [output]
    return output


def returns_a_large_number(task: Task) -> Payload:
    return 2**64


def _group(name: str, *parts: BaseException) -> BaseException:
    # Exception groups exist since Python 3.11.
    group = getattr(builtins, name, None)
    return Strange("in place of a group") if group is None else group("some", parts)


# ------------------------------------------------------------------------------- in a loop


async def awaits_a_cancelled_task(task: Task) -> Payload:
    inner = asyncio.ensure_future(asyncio.sleep(60))
    await asyncio.sleep(0)
    inner.cancel()
    return await inner


async def awaits_a_cancelled_future(task: Task) -> Payload:
    future: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
    future.cancel()
    return await future


async def cancels_itself(task: Task) -> Payload:
    _current().cancel()
    await asyncio.sleep(60)
    return "not cancelled"


async def cancels_itself_and_returns(task: Task) -> Payload:
    _current().cancel()
    return "asked for it"


async def cancels_itself_and_goes_on(task: Task) -> Payload:
    _current().cancel()
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await asyncio.sleep(0.01)
    return "went on"


async def is_cancelled_again_and_again(task: Task) -> Payload:
    """As with a cancel scope that was left open: it cancels the task in each iteration."""
    loop, current = asyncio.get_running_loop(), _current()

    def cancel() -> None:
        if current.cancel():
            loop.call_soon(cancel)

    cancel()
    await asyncio.sleep(60)
    return "not cancelled"


async def turns_its_cancellation_into_an_exit(task: Task) -> Payload:
    try:
        return await cancels_itself(task)
    except asyncio.CancelledError:
        sys.exit(4)


async def awaits_a_task_that_is_interrupted(task: Task) -> Payload:
    async def inner() -> Payload:
        raise KeyboardInterrupt

    return await asyncio.ensure_future(inner())


async def awaits_a_task_that_exits(task: Task) -> Payload:
    async def inner() -> Payload:
        await asyncio.sleep(0.01)
        sys.exit(3)

    return await asyncio.wait_for(inner(), 60)


async def awaits_what_yields_nonsense(task: Task) -> Payload:
    class Nonsense:
        def __await__(self) -> Generator[int, Any, Payload]:
            yield 42
            return None

    return await Nonsense()


async def awaits_itself(task: Task) -> Payload:
    try:
        return await _current()
    except RuntimeError:
        # asyncio's message has memory addresses, which differ between runs.
        raise RuntimeError("waited for itself") from None


async def awaits_a_closed_coroutine(task: Task) -> Payload:
    sleeping = asyncio.sleep(60)
    sleeping.close()
    return await sleeping


def _current() -> asyncio.Task[Any]:
    current = asyncio.current_task()
    assert current is not None
    return current


_ENDINGS = [each for name, each in globals().items() if inspect.isfunction(each) and name[0] != "_"]
PLAIN_ENDINGS: tuple[Callable[[Task], Payload], ...] = tuple(
    each for each in _ENDINGS if not inspect.iscoroutinefunction(each)
)
"""The endings of plain functions; coroutines can end in these ways too."""

COROUTINE_ENDINGS: tuple[Callable[[Task], Coroutine[Any, Any, Payload]], ...] = tuple(
    filter(inspect.iscoroutinefunction, _ENDINGS)
)
"""The endings that only coroutines have."""

SUCCEEDING = frozenset({"returns", "cancels_itself_and_returns", "cancels_itself_and_goes_on"})
"""The names of the handlers that succeed."""
