"""The part of a handler's context that asks people."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import cast

from ...messages import MusterError, Payload
from ...messages.question import QuestionText, check_question
from .handler_calls import HandlerCalls
from .handler_waiting import HandlerCall
from .subtasks import SubtaskCalls

_SHOWN_CHARACTERS = 200


class PersonQuestions(SubtaskCalls):
    """Asks people on behalf of a handler."""

    # A class attribute, since most attempts ask nothing and should not pay for it.
    _asked: Counter[str] | None = None

    def ask(
        self,
        text: str,
        choices: Sequence[str] | None = None,
        *,
        expires_s: float | None = None,
        default: str | None = None,
        key: str | None = None,
    ) -> HandlerCall[str]:
        """Ask a person; `await` what this returns, or call its `result` in a thread.

            if await context.ask("Publish?", choices=["yes", "no"]) == "yes": ...

        The question is answered on the live page, with `muster answer`, by the HTTP API or by a
        client; whoever is first decides. Until then the task stays in progress, its slot is free
        for other tasks, and its timeout stands still. The store keeps question and answer: if the
        task is tried again, or its worker or manager is replaced, the same question gets the answer
        that was given, and is not asked twice. Who answered, and when, is in the task's story.

        Args:
            text: the question, 2,000 characters at most.
            choices: the possible answers, 1 to 50; None for any text.
            expires_s: for how long it may be answered, in seconds; None for no limit.
            default: the answer if nobody has answered by then; None to raise `AnswerExpired`.
            key: identifies the question in place of its text, for a text that differs from attempt
                to attempt. If a handler asks the same text several times, their order counts.

        Raises:
            InvalidInput: an argument is not valid, or the handler runs without a manager.
            AnswerExpired: nobody has answered in time; raised by what this returns.
            IllegalTransition: the attempt is over; raised by what this returns.
        """
        asked = check_question(text, choices, expires_s, default, key)
        calls = self._handler_calls()
        if self._asked is None:
            self._asked = Counter()
        self._asked[asked.key] += 1
        times = self._asked[asked.key]
        if times > 1:
            asked = asked._replace(key=f"{asked.key} #{times}")
        return HandlerCall(self, partial(self._wait_for_answer, calls, asked))

    async def _wait_for_answer(self, calls: HandlerCalls, asked: QuestionText) -> str:
        answer: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()

        def replied(reply: Payload | MusterError) -> None:
            if answer.done():
                return
            if isinstance(reply, MusterError):
                answer.set_exception(reply)
            else:
                answer.set_result(reply)

        asking: dict[str, Payload] = {**asked._asdict(), "choices": list(asked.choices) or None}
        async with self.waiting(f"waits for a person: {asked.text[:_SHOWN_CHARACTERS]}"):
            calls.ask(
                "ask_person", asking, replied, (self._assignment.task.id, self._assignment.attempt)
            )
            return cast("str", await answer)
