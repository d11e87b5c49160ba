"""Runs functions of any thread in an agent's event loop, which owns the agent's state."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import TypeVar

_Answer = TypeVar("_Answer")


class ThreadGate:
    """Runs functions one at a time.

    While it is open they run in its loop; before and after, in their own threads.
    """

    def __init__(self) -> None:
        self._turn = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        # Bounded by the number of threads: each waits for its result.
        self._unanswered: deque[Callable[[], None]] = deque()

    @contextlib.contextmanager
    def open(self) -> Generator[None, None, None]:
        """Run functions in the running loop while this is entered."""
        with self._turn:
            self._loop = asyncio.get_running_loop()
            self._loop_thread = threading.get_ident()
        try:
            yield
        finally:
            with self._turn:
                self._loop = None
                # Waiting threads must not wait for a loop that may never run again.
                self._answer_all()

    def ask(self, question: Callable[[], _Answer]) -> _Answer:
        """Run a function, called from any thread, and wait for its result.

        Args:
            question: the function; it must not block.

        Returns:
            Its result; its exception is raised here.
        """
        with self._turn:
            if self._loop is None or threading.get_ident() == self._loop_thread:
                return question()
            answer: Future[_Answer] = Future()
            self._unanswered.append(lambda: _answer(question, answer))
            self._loop.call_soon_threadsafe(self._answer_all)
        return answer.result()

    def _answer_all(self) -> None:
        while self._unanswered:
            self._unanswered.popleft()()


def _answer(question: Callable[[], _Answer], answer: Future[_Answer]) -> None:
    try:
        answer.set_result(question())
    except Exception as fault:  # noqa: BLE001 - raised to whoever asked
        answer.set_exception(fault)
