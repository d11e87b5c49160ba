"""Handlers that have a language model do tasks, and review what others did."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel
from pydantic.errors import PydanticUserError

from ...messages import InvalidInput, ModelFailed, Payload, Task, TaskResult
from ...messages.wording import show
from ..execution.handler_requests import RetryLater
from ..execution.handlers import Handlers, TaskContext
from ..execution.reviews import Review
from ..runtime.http_url import split_http_url
from ..runtime.timeouts import within
from .conversation import ModelConversation, OutputForm
from .function_tool import ToolLike, make_tools
from .key import find_key
from .meter import Meter
from .price import ModelLimits, Price
from .prompt import Messages, messages_of
from .reviewing import ModelVerdict, Rubric, ask_person, review_messages

if TYPE_CHECKING:
    from .client import ModelClient

DEFAULT_TYPE = "prompt"
PARTS_EVERY_S = 0.1
"""How often the text that has come is sent on as a part."""

_OPENAI_URL = "https://api.openai.com/v1"
_ENDPOINTS = ("/chat/completions", "/completions", "/responses", "/models")
_ValueT = TypeVar("_ValueT")


class ModelHandlers(Handlers):
    """Handlers that have a language model do tasks, behind an OpenAI-compatible address.

    ```python
    handlers = ModelHandlers(
        model="qwen3:8b",
        base_url="http://localhost:11434/v1",
        types=["summarize"],
        system="Summarize the text in one sentence.",
    )
    worker = WorkerAgent("Qwen", skill_level=5, slots=8, handlers=handlers)
    ```

    A task's data are the prompt: a text, `{"prompt": text}` or `{"messages": [...]}`. Its output is
    the answer, which is also streamed.

    Args:
        model: the name of the model.
        base_url: the server's base URL; None for that in OPENAI_BASE_URL, or else OpenAI's own.
        price: what its tokens cost; None if the worker's rates tell it, or it costs nothing.
        types: the types of the tasks that it does; None for those in `system` and `output`, or
            else "prompt".
        system: the system prompt, one for all types or by type.
        output: the pydantic model that the answer must be, one for all types or by type; without,
            the output is text.
        tools: what the model may call: functions with annotated parameters, and
            MCP servers that were started.
        reviews: the rubrics by which the model reviews the results of other workers, by type.
        limits: what the model may use for one task.
        key_file: the file with the API key; None for MUSTER_MODEL_KEY or OPENAI_API_KEY.

    Raises:
        InvalidInput: an argument is not valid; the message says what to change.
        ExtraMissing: the package `openai` is not installed.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        *,
        price: Price | None = None,
        types: Iterable[str] | None = None,
        system: str | Mapping[str, str] = "",
        output: type[BaseModel] | Mapping[str, type[BaseModel]] | None = None,
        tools: Sequence[ToolLike] = (),
        reviews: Mapping[str, str | Rubric] | None = None,
        limits: ModelLimits | None = None,
        key_file: str | Path | None = None,
    ) -> None:
        super().__init__()
        limits = ModelLimits() if limits is None else limits
        if limits.max_cost is not None and price is None:
            raise InvalidInput("max_cost needs a price; pass price=Price(...) too")
        self._client = _make_client(model, base_url, key_file)
        self._price = price
        self._limits = limits
        self._tools = make_tools(tools)
        self._rubrics = {
            name: each if isinstance(each, Rubric) else Rubric(each)
            for name, each in (reviews or {}).items()
        }
        named = {
            *(system if isinstance(system, Mapping) else ()),
            *(output if isinstance(output, Mapping) else ()),
        }
        wanted = _types(types, named, needs_default=not self._rubrics)
        self._system = _by_type(system, wanted)
        forms = {} if output is None else _by_type(output, wanted)
        self._forms = {name: _make_form(each) for name, each in forms.items()}
        for each in wanted:
            self.task(each)(self._perform)
        for each in self._rubrics:
            self.review(each)(self._review)

    @property
    def model(self) -> str:
        """The name of the model."""
        return self._client.model

    async def check_server(self) -> None:
        """Check that the server is there, takes the key and has the model.

        Raises:
            ModelUnusable: it does not; the message says what to change.
        """
        await self._client.check()

    # ------------------------------------------------------------------ tasks

    async def _perform(self, task: Task, context: TaskContext) -> AsyncGenerator[str, None]:
        """Have the model do a task, and yield its text as it comes."""
        form = self._forms.get(task.type)
        system = self._system.get(task.type, "")
        if form is not None:
            system = f"{system}\n\n{form.prompt}".strip()
        parts: list[str] = []
        talk = self._talk(
            context,
            messages_of(context, system),
            form=form,
            with_tools=True,
            # Of what may have to be repaired, nothing is passed on.
            parts=parts if form is None else None,
        )
        working = asyncio.ensure_future(talk)
        try:
            while not working.done():
                await asyncio.wait([working], timeout=PARTS_EVERY_S)
                if parts:
                    text = "".join(parts)
                    parts.clear()
                    yield text
            context.result(working.result())
        finally:
            if not working.done():
                working.cancel()
                await asyncio.wait([working])

    async def _talk(
        self,
        context: TaskContext,
        messages: Messages,
        *,
        form: OutputForm | None,
        with_tools: bool = False,
        parts: list[str] | None = None,
    ) -> Payload | BaseModel:
        meter = Meter(context, self.model, self._price, self._limits)
        talk = ModelConversation(
            self._client,
            context,
            meter,
            messages,
            tools=self._tools if with_tools else (),
            form=form,
            take=None if parts is None else parts.append,
        )
        try:
            # What it waits for other tasks and people, it holds no slot and does not count.
            return await within(self._limits.max_s, talk.output(), lambda: context.suspended_s)
        except asyncio.TimeoutError:
            told = f"{self.model} was not done within {self._limits.max_s:g} s"
            if meter.turns <= 1 or talk.waits_for_server:
                # Its server hangs or drips, which says nothing about the model.
                raise RetryLater(0.0, told) from None
            raise ModelFailed(f"{told}, the task's limit") from None

    # ------------------------------------------------------------------ reviews

    async def _review(self, task: Task, result: TaskResult, context: TaskContext) -> Review:
        """Have the model review the result of another worker."""
        rubric = self._rubrics[task.type]
        form = _VERDICT
        messages = review_messages(task, result, rubric, form.prompt)
        verdict = await self._talk(context, messages, form=form)
        assert isinstance(verdict, ModelVerdict)
        if rubric.asks_person and verdict.is_doubtful(result.quality):
            return await ask_person(context, result, verdict)
        return Review(verdict.grade, verdict.reason)


def _make_client(model: str, base_url: str | None, key_file: str | Path | None) -> ModelClient:
    # Programs without models need no `openai`.
    from .client import ModelClient  # noqa: PLC0415

    if not model.strip():
        raise InvalidInput(f"the model is called {model!r}; give the name that its server has")
    url = (base_url or os.environ.get("OPENAI_BASE_URL", "").strip() or _OPENAI_URL).rstrip("/")
    parts = split_http_url(url)
    if parts is None or parts.query or parts.username is not None:
        raise InvalidInput(
            f"the base URL is {_without_user(url)!r}; it must begin with http:// or https:// and a "
            "host, and have no spaces, no '?', and no user and password"
        )
    endpoint = next((each for each in _ENDPOINTS if url.endswith(each)), "")
    if endpoint:
        raise InvalidInput(f"the base URL is {url!r}; leave out {endpoint!r} at its end")
    key = find_key(key_file, os.environ)
    if key is None and url == _OPENAI_URL:
        raise InvalidInput(
            f"{url} needs a key; set MUSTER_MODEL_KEY or OPENAI_API_KEY, name a key file, or name "
            "another base URL"
        )
    return ModelClient(url, model, key)


def _without_user(url: str) -> str:
    """A URL without the user and the password in it, which may be secret."""
    head, _, rest = url.partition("//")
    host, slash, path = rest.partition("/")
    return f"{head}//…@{host.rpartition('@')[2]}{slash}{path}" if "@" in host else url


def _types(types: Iterable[str] | None, named: set[str], *, needs_default: bool) -> tuple[str, ...]:
    if isinstance(types, str):
        raise InvalidInput(f"types is {types!r}; it must be a list of types, such as [{types!r}]")
    if types is None:
        return tuple(sorted(named)) or ((DEFAULT_TYPE,) if needs_default else ())
    wanted = tuple(dict.fromkeys(types))
    unknown = sorted(named - {*wanted})
    if unknown:
        raise InvalidInput(
            f"there is a system prompt or an output for {unknown[0]!r}, which is not among the "
            f"types: {', '.join(wanted)}; add it, or leave out `types`"
        )
    return wanted


def _by_type(given: _ValueT | Mapping[str, _ValueT], types: Sequence[str]) -> dict[str, _ValueT]:
    if isinstance(given, Mapping):
        return {**given}
    return dict.fromkeys(types, given)


def _make_form(model: Any, *, within_prose: bool = True) -> OutputForm:
    if not (inspect.isclass(model) and issubclass(model, BaseModel)):
        raise InvalidInput(f"the output is {show(model)}; it must be a class of pydantic's models")
    try:
        return OutputForm(model, model.model_json_schema(), within_prose)
    except PydanticUserError as fault:
        reason = " ".join(str(fault).split())
        raise InvalidInput(f"{model.__name__} has no JSON schema: {reason[:300]}") from None


# A reviewer may quote the JSON of the result.
_VERDICT = _make_form(ModelVerdict, within_prose=False)
