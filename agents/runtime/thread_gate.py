"""Lets any thread ask something of an agent, whose state belongs to the loop that it lives in."""

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
    """Answers questions where nothing else happens at the same time.

    While it is open that is its loop; before and after, it is one thread after the other.
    """

    def __init__(self) -> None:
        self._turn = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        # Bounded by the threads: each waits for its answer.
        self._unanswered: deque[Callable[[], None]] = deque()

    @contextlib.contextmanager
    def open(self) -> Generator[None, None, None]:
        """Answer in the running loop as long as this lasts."""
        with self._turn:
            self._loop = asyncio.get_running_loop()
            self._loop_thread = threading.get_ident()
        try:
            yield
        finally:
            with self._turn:
                self._loop = None
                # Whoever asked last must not wait for a loop that may never run again.
                self._answer_all()

    def ask(self, question: Callable[[], _Answer]) -> _Answer:
        """Answer a question, from whichever thread it comes; waits for the answer.

        Args:
            question: what is to be called; it must not wait.

        Returns:
            What it returned; what it raises is raised here.
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
