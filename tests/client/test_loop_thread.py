"""An async generator that runs in another thread is iterated a little ahead, and closed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator

import pytest
from muster.agents.runtime.loop_thread import READ_AHEAD, LoopThread


@pytest.fixture
def thread() -> Iterator[LoopThread]:
    thread = LoopThread("test")
    thread.start()
    yield thread
    thread.stop()


class Counting:
    """Counts on and on, and notes how far it came."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.reached = -1
        self.is_closed = False
        self._fails_at = fails_at

    async def values(self, end: int) -> AsyncGenerator[int, None]:
        try:
            for number in range(end):
                if number == self._fails_at:
                    raise KeyError(number)
                self.reached = number
                yield number
        finally:
            self.is_closed = True


def test_all_values_come_in_order(thread: LoopThread) -> None:
    assert list(thread.iterate(Counting().values(1_000))) == list(range(1_000))


def test_who_leaves_early_closes_the_generator_which_is_not_far_ahead(thread: LoopThread) -> None:
    counting = Counting()
    taken: list[int] = []
    values = thread.iterate(counting.values(10**9))
    for number in values:
        taken.append(number)
        if number == 199:
            break
    del values
    assert taken == list(range(200))
    assert counting.is_closed
    assert counting.reached < 200 + READ_AHEAD


def test_an_exception_comes_after_the_values_before_it(thread: LoopThread) -> None:
    taken: list[int] = []
    values = thread.iterate(Counting(fails_at=70).values(100))
    with pytest.raises(KeyError, match="70"):  # noqa: PT012 - the values before it count
        for number in values:
            taken.append(number)  # noqa: PERF402
    assert taken == list(range(70))
