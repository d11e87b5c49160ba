"""The conversation with a model about one task: its tools, its output and their limits."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pydantic import BaseModel, ValidationError

from ...messages import ModelFailed, Payload
from ...messages.wording import summarize
from ..execution.handler_requests import RetryLater
from ..execution.handlers import TaskContext
from ..execution.subtask_ids import numbered_within
from ..runtime.error_text import describe_fault
from .answer import ModelAnswer, ToolCall, without_surrogates
from .function_tool import check_names
from .meter import Meter
from .prompt import Messages, as_text, length_of
from .tool import Tool, ToolSource

if TYPE_CHECKING:
    from .client import ModelClient

MAX_WAITS = 3
"""How often a conversation waits for a server that wants to be asked later."""

LONGEST_WAIT_S = 60.0
"""How long it waits each time at most, in seconds, since it holds its worker's slot."""

MAX_TOOL_RESULT_CHARACTERS = 100_000
"""The rest of what a tool returns is not sent to the model."""

_THOUGHTS_END = "</think>"
"""After it, models whose server does not part their thoughts from it begin to answer."""

_FENCED = re.compile(r"\s*```[a-z]*\n(.*?)\n?```\s*", re.DOTALL)


class OutputForm(NamedTuple):
    """The form that the answer must have.

    Args:
        model: the pydantic model of the output.
        schema: its JSON schema.
        within_prose: whether text may stand around the JSON. It must not where the answer may quote
            JSON of others.
    """

    model: type[BaseModel]
    schema: Mapping[str, Any]
    within_prose: bool = True

    @property
    def request(self) -> dict[str, Any]:
        """How a request asks for it."""
        told = {"name": self.model.__name__, "schema": self.schema}
        return {"response_format": {"type": "json_schema", "json_schema": told}}

    @property
    def prompt(self) -> str:
        """How the system prompt asks for it, for servers that do not enforce a schema."""
        schema = json.dumps(self.schema, ensure_ascii=False)
        return f"Answer with JSON alone, which matches this JSON schema:\n{schema}"

    def read(self, text: str) -> BaseModel:
        """The output in a text.

        Raises:
            ValidationError: it is none.
        """
        try:
            return self.model.model_validate_json(text)
        except ValidationError:
            thoughts, end, rest = text.partition(_THOUGHTS_END)
            found = self._json_in(rest if end else thoughts)
            if found is None:
                raise
        return self.model.model_validate_json(found)

    def _json_in(self, answer: str) -> str | None:
        """The JSON in a fence or between texts; None if there is none."""
        fenced = _FENCED.fullmatch(answer)
        if fenced or not self.within_prose:
            return fenced[1] if fenced else answer
        opening, closing = "[]" if self.schema.get("type") == "array" else "{}"
        first, last = answer.find(opening), answer.rfind(closing)
        return answer[first : last + 1] if 0 <= first < last else None

    def problem(self, fault: ValidationError) -> str:
        """What is wrong with an answer, in one line."""
        return summarize(fault).removeprefix(f"{fault.title}: ")


class ModelConversation:
    """Asks a model until it has an output.

    Args:
        client: asks the model.
        context: the context of the task.
        meter: counts and limits what is used.
        messages: the messages to begin with.
        tools: the tools, and the sources of tools, that the model may call.
        form: the form of the output; None for text.
        take: takes the text as it comes.
    """

    def __init__(
        self,
        client: ModelClient,
        context: TaskContext,
        meter: Meter,
        messages: Messages,
        *,
        tools: Sequence[Tool | ToolSource] = (),
        form: OutputForm | None = None,
        take: Callable[[str], None] | None = None,
    ) -> None:
        self._client = client
        self._context = context
        self._meter = meter
        self._messages = messages
        self._given = tools
        self._form = form
        self._take = take
        self._is_repaired = False
        self._called: Counter[str] = Counter()
        self._waits = 0
        self.waits_for_server = False
        """Whether it waits until the server may be asked again."""

    async def output(self) -> Payload | BaseModel:
        """The output: a text, or a model of the form.

        Raises:
            ModelFailed: the model refused, passed a limit, or gave nothing of this form.
            RetryLater: its server could not answer now.
            TaskDeclined: its server refuses this worker.
        """
        tools = await self._list_tools()
        options: dict[str, Any] = {} if self._form is None else self._form.request
        if tools:
            options["tools"] = [_offered(each) for each in tools.values()]
        while True:
            answer = await self._ask_patiently(options)
            self._messages.append(answer.message)
            if answer.calls:
                calls = answer.calls.values()
                # They are asked for at once, so they run at once.
                self._messages += await asyncio.gather(
                    *(self._call_tool(each, tools) for each in calls)
                )
                continue
            if self._form is None:
                return answer.text
            try:
                return self._form.read(answer.text)
            except ValidationError as fault:
                problem = self._form.problem(fault)
            self._ask_for_repair(self._form, problem)

    def _ask_for_repair(self, form: OutputForm, problem: str) -> None:
        if self._is_repaired:
            raise ModelFailed(f"its answer is no {form.model.__name__}: {problem}") from None
        self._is_repaired = True
        text = f"This is not valid: {problem}\nAnswer again, with the corrected JSON alone."
        self._messages.append({"role": "user", "content": text})

    async def _ask_patiently(self, options: Mapping[str, Any]) -> ModelAnswer:
        """Ask; once there is something to lose, wait here for a server that is busy.

        Another attempt would pay for the earlier turns again, and call their tools again.
        """
        while True:
            answer = ModelAnswer()
            try:
                return await self._ask(options, answer)
            except RetryLater as fault:
                is_streamed = self._take is not None and bool(answer.text)
                is_first = self._meter.turns - self._waits <= 1
                is_long = self._waits == MAX_WAITS or fault.after_s > LONGEST_WAIT_S
                if is_first or is_long or is_streamed:
                    raise
                self._waits += 1
                self.waits_for_server = True
                await asyncio.sleep(fault.after_s)
                self.waits_for_server = False

    async def _ask(self, options: Mapping[str, Any], answer: ModelAnswer) -> ModelAnswer:
        meter = self._meter
        characters_in = length_of(self._messages)
        meter.begin_turn(characters_in)
        # If this worker is lost, the story of the task tells that somebody has to pay.
        self._context.progress(
            0, f"asked {self._client.model}, turn {meter.turns}; paid even if the answer is lost"
        )

        def take(text: str) -> None:
            meter.check(characters_in, answer.characters)
            if text and self._take is not None:
                self._take(text)

        try:
            await self._client.ask(
                self._messages, options, answer, take, attempt=self._context.attempt
            )
        finally:
            # Also when it is cancelled or broken off: what has come has to be paid.
            if answer.tokens is not None:
                meter.charge(*answer.tokens)
            elif answer.has_begun:
                meter.charge_estimate(characters_in, answer.characters)
        _check_end(answer)
        return answer

    # ------------------------------------------------------------------ tools

    async def _list_tools(self) -> dict[str, Tool]:
        found: list[Tool] = []
        for each in self._given:
            found += await each.list_tools() if isinstance(each, ToolSource) else (each,)
        return check_names(found)

    async def _call_tool(self, call: ToolCall, tools: Mapping[str, Tool]) -> dict[str, Any]:
        try:
            text = await self._result_of(call, tools)
        except Exception as fault:  # noqa: BLE001 - a tool may raise anything; the model is told
            text = f"error: {describe_fault(fault)}"
        if len(text) > MAX_TOOL_RESULT_CHARACTERS:
            cut = len(text) - MAX_TOOL_RESULT_CHARACTERS
            text = f"{text[:MAX_TOOL_RESULT_CHARACTERS]}\n({cut:,} more characters were cut off)"
        return {"role": "tool", "tool_call_id": call.call_id, "content": without_surrogates(text)}

    async def _result_of(self, call: ToolCall, tools: Mapping[str, Tool]) -> str:
        tool = tools.get(call.name)
        if tool is None:
            return f"error: there is no tool {call.name!r}; there are: {', '.join(tools) or 'none'}"
        try:
            arguments: object = json.loads(call.arguments or "{}")
        except ValueError as fault:
            return f"error: the arguments are no JSON: {fault}"
        if not isinstance(arguments, dict):
            return "error: the arguments must be a JSON object"
        given = cast("dict[str, Payload]", arguments)
        with numbered_within(self._name_call(call.name, given)):
            return as_text(await tool.call(given, self._context))

    def _name_call(self, name: str, arguments: Mapping[str, Payload]) -> str:
        """A name of a call that the same call has in another attempt, which may order them anew."""
        told = json.dumps(arguments, sort_keys=True)
        same = f"{name}-{hashlib.blake2b(told.encode(), digest_size=8).hexdigest()}"
        self._called[same] += 1
        return f"{same}-{self._called[same]}"


def _check_end(answer: ModelAnswer) -> None:
    """See that a model has not refused, and has said all that it wanted to say."""
    if answer.refusal:
        raise ModelFailed(f"it refused: {answer.refusal[:300]}")
    if answer.finish == "content_filter":
        raise ModelFailed("it refused: the server filters such content")
    if answer.finish == "length":
        raise ModelFailed("its answer was cut off at the server's maximum length")
    if not (answer.text.strip() or answer.calls):
        raise ModelFailed("it answered nothing")


def _offered(tool: Tool) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.schema),
    }
    return {"type": "function", "function": function}
