"""Asks a model server that is compatible with OpenAI's; only this module imports `openai`."""

from __future__ import annotations

import asyncio
import email.utils
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextvars import Context
from typing import Any, cast
from weakref import WeakKeyDictionary

from pydantic import SecretStr, ValidationError

from ...messages import ExtraMissing, ModelFailed, ModelUnusable
from ...messages.wording import show, summarize
from ..execution.handler_requests import RetryLater, TaskDeclined
from .answer import ModelAnswer
from .key import without_key

try:
    # openai's own HTTP client, a successor of httpx.
    import httpx2
    import openai
except ModuleNotFoundError:
    raise ExtraMissing("language models", ["openai"], "models") from None

CONNECT_TIMEOUT_S = 10.0
SILENT_TIMEOUT_S = 120.0
"""How long a server may send nothing, in seconds."""

MAX_STREAM_BYTES = 32 * 1024 * 1024
MAX_LINE_BYTES = 4 * 1024 * 1024
"""The maximum size of one event of a stream, and of an answer that is no stream."""

MAX_ERROR_BYTES = 64 * 1024
MAX_RETRY_AFTER_S = 3_600.0
_MAX_BACKOFF_S = 60.0
_MAX_NAMES_SHOWN = 5

_DISPENSABLE = ("stream_options", "response_format")
"""Options that some servers do not know: the first has them tell tokens, the system prompt says
what the second does."""

Message = Mapping[str, Any]


class _TooLong(Exception):
    """A response is too long."""


class ModelClient:
    """Asks one model of a server; all requests of an event loop share a pool of connections.

    Args:
        url: the server's base URL, such as "http://localhost:11434/v1".
        model: the name of the model.
        key: the API key; None if the server needs none.
    """

    def __init__(self, url: str, model: str, key: SecretStr | None) -> None:
        self.url = url
        self.model = model
        self._key = key
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, openai.AsyncOpenAI] = (
            WeakKeyDictionary()
        )
        self._unknown_options: set[str] = set()

    async def ask(
        self,
        messages: Sequence[Message],
        options: Mapping[str, Any],
        answer: ModelAnswer,
        take: Callable[[str], None],
        *,
        attempt: int,
    ) -> None:
        """Ask the model; a cancellation closes the request.

        Args:
            messages: the conversation.
            options: further fields of the request, such as "tools".
            answer: the answer, which is filled as it comes.
            take: called with each part of its text; what it raises ends the request.
            attempt: the number of the task's attempt, which decides how long to wait after a fault.

        Raises:
            RetryLater: the server could not be reached, failed, or wants to be asked later.
            TaskDeclined: it refuses this client, or the prompt is too long for the model.
            ModelFailed: the model refused, or its answer is not usable.
        """
        body = {"model": self.model, "messages": [*messages], **options, "stream": True}
        try:
            async with await self._post(body) as response:
                answer.has_begun = True
                async for content in _contents_of(response):
                    take(answer.take(content))
        except openai.APIError as fault:
            raise self._explain(fault, attempt) from None
        except _TooLong as fault:
            raise ModelFailed(f"{self._told()} sent {fault}") from None
        except ValueError as fault:
            # What it sent is no JSON, or something else than an answer.
            told = summarize(fault, "answer") if isinstance(fault, ValidationError) else str(fault)
            said = without_key(told, self._key)
            raise RetryLater(
                _backoff_s(attempt), f"{self._told()} sent no answer that can be read: {said}"
            ) from None
        if not answer.is_complete:
            raise RetryLater(_backoff_s(attempt), f"{self._told()} broke off its answer")

    async def _post(self, body: dict[str, Any]) -> openai.AsyncStream[object]:
        told = {"stream_options": {"include_usage": True}, **body}
        sent = {name: each for name, each in told.items() if name not in self._unknown_options}
        post = self._client().post
        try:
            return await post(
                "/chat/completions",
                body=sent,
                cast_to=object,
                stream=True,
                stream_cls=openai.AsyncStream[object],
            )
        except openai.BadRequestError as fault:
            unknown = {each for each in _DISPENSABLE if each in sent and each in str(fault)}
            if not unknown:
                raise
            self._unknown_options |= unknown
            return await self._post(body)

    async def check(self) -> None:
        """Check that the server is there, takes the key and has the model.

        Raises:
            ModelUnusable: it does not; the message says what to change.
        """
        client = self._client()
        try:
            listed = await client.get("/models", cast_to=object)
        except (openai.AuthenticationError, openai.PermissionDeniedError) as fault:
            told = "refuses the key" if self._key else "wants a key, and there is none"
            raise ModelUnusable(
                f"{self.url} {told}: {self._said(fault)}; set MUSTER_MODEL_KEY or name a key file"
            ) from None
        except (openai.NotFoundError, openai.APIConnectionError) as fault:
            raise self._wrong_address(fault) from None
        except (openai.APIError, _TooLong, ValueError) as fault:
            raise self._no_model_server(without_key(str(fault), self._key)) from None
        names = _names_in(listed)
        if names is None:
            raise self._no_model_server(show(listed))
        if names and self.model not in names:
            some = ", ".join(sorted(names)[:_MAX_NAMES_SHOWN])
            more = len(names) - _MAX_NAMES_SHOWN
            has = without_key(f"{some} and {more} more" if more > 0 else some, self._key)
            raise ModelUnusable(f"{self.url} has no model {self.model!r}; it has {has}")

    def _wrong_address(self, fault: openai.APIError) -> ModelUnusable:
        if isinstance(fault, openai.APIConnectionError):
            return ModelUnusable(f"{self.url} can't be reached: {_cause_of(fault)}; change the URL")
        hint = "" if self.url.endswith("/v1") else f"; try {self.url}/v1"
        return ModelUnusable(f"{self.url} is no model server: it has no /models{hint}")

    def _no_model_server(self, said: str) -> ModelUnusable:
        return ModelUnusable(
            f"{self.url} is no model server that is compatible with OpenAI's: it answered {said}"
        )

    # ------------------------------------------------------------------ faults

    def _explain(self, fault: openai.APIError, attempt: int) -> BaseException:
        """What becomes of a task, by what the server said."""
        said = self._said(fault)
        told = self._told()
        if isinstance(fault, openai.APITimeoutError):
            return RetryLater(_backoff_s(attempt), f"{told} did not answer in time")
        if isinstance(fault, openai.APIConnectionError):
            return RetryLater(_backoff_s(attempt), f"{told} can't be reached: {_cause_of(fault)}")
        if not isinstance(fault, openai.APIStatusError):
            # An error in the midst of a stream.
            return RetryLater(_backoff_s(attempt), f"{told} broke off its answer: {said}")
        status, code = fault.status_code, fault.code
        if status in (401, 403, 404) or code == "insufficient_quota":
            return TaskDeclined(f"{told} refuses this worker, {status}: {said}")
        if status in (408, 409, 425, 429) or status >= 500:  # noqa: PLR2004 - HTTP's
            after_s = _retry_after_s(fault.response.headers)
            after_s = _backoff_s(attempt) if after_s is None else after_s
            return RetryLater(after_s, f"{told} answered {status}: {said}")
        if code == "context_length_exceeded":
            return TaskDeclined(f"the prompt is too long for {told}: {said}")
        return ModelFailed(f"{told} answered {status}: {said}")

    def _told(self) -> str:
        return f"{self.model} at {self.url}"

    def _said(self, fault: openai.APIError) -> str:
        body: object = fault.body
        message = cast("dict[str, object]", body).get("message") if isinstance(body, dict) else None
        return without_key(str(message or fault.message), self._key)

    # ------------------------------------------------------------------ connections

    def _client(self) -> openai.AsyncOpenAI:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None or client.is_closed():
            client = self._clients[loop] = openai.AsyncOpenAI(
                api_key=self._key.get_secret_value() if self._key else "none",
                base_url=self.url,
                max_retries=0,
                timeout=httpx2.Timeout(SILENT_TIMEOUT_S, connect=CONNECT_TIMEOUT_S, pool=None),
                http_client=httpx2.AsyncClient(
                    # As many as the worker has slots.
                    limits=httpx2.Limits(max_connections=None, max_keepalive_connections=100),
                    headers={"accept-encoding": "identity"},
                    event_hooks={"response": [_bound]},
                ),
            )
            # In a context of its own, since it outlives the attempt that needs it first.
            Context().run(_close_with_loop, loop, client)
        return client


_closing: set[asyncio.Task[None]] = set()


def _close_with_loop(loop: asyncio.AbstractEventLoop, client: openai.AsyncOpenAI) -> None:
    """Close a client when its event loop ends, which cancels all tasks."""

    async def close() -> None:
        try:
            await loop.create_future()
        finally:
            await client.close()

    task = loop.create_task(close())
    _closing.add(task)
    task.add_done_callback(_closing.discard)


async def _contents_of(stream: openai.AsyncStream[object]) -> AsyncIterator[Mapping[str, Any]]:
    """The chunks of a stream, or the whole answer of a server that does not stream."""
    kind = stream.response.headers.get("content-type", "")
    if kind.startswith("text/event-stream"):
        async for content in stream:
            yield cast("Mapping[str, Any]", content)
    else:
        try:
            body = await stream.response.aread()
        except httpx2.RequestError as fault:
            raise openai.APIConnectionError(request=stream.response.request) from fault
        yield json.loads(body)


async def _bound(response: httpx2.Response) -> None:
    """Limit how much of a response is read."""
    encoding = response.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise ValueError(f"it is compressed with {show(encoding)}, which nobody asked for")
    stream = response.stream
    assert isinstance(stream, httpx2.AsyncByteStream)
    is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
    if not response.is_success:
        response.stream = _BoundedStream(stream, MAX_ERROR_BYTES, MAX_ERROR_BYTES)
    else:
        total = MAX_STREAM_BYTES if is_stream else MAX_LINE_BYTES
        response.stream = _BoundedStream(stream, total, MAX_LINE_BYTES)


class _BoundedStream(httpx2.AsyncByteStream):
    """Counts the bytes of a response, and of each of its lines."""

    def __init__(self, stream: httpx2.AsyncByteStream, most: int, most_in_line: int) -> None:
        self._stream = stream
        self._most = most
        self._most_in_line = most_in_line

    async def __aiter__(self) -> AsyncIterator[bytes]:
        total = in_line = 0
        async for part in self._stream:
            total += len(part)
            line_end = part.rfind(b"\n")
            in_line = len(part) - line_end if line_end >= 0 else in_line + len(part)
            if total > self._most or in_line > self._most_in_line:
                most = self._most if total > self._most else self._most_in_line
                raise _TooLong(f"more than {most:,} bytes")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


def _names_in(listed: object) -> set[str] | None:
    """The names in a list of models; None if it is none."""
    data = cast("dict[str, object]", listed).get("data") if isinstance(listed, dict) else None
    if not isinstance(data, list):
        return None
    listing = cast("list[Any]", data)
    names = [cast("dict[str, object]", each).get("id") for each in listing if type(each) is dict]
    return {name for name in names if isinstance(name, str)}


def _cause_of(fault: openai.APIError) -> str:
    cause = fault.__cause__
    return " ".join((str(cause) or type(cause).__name__).split()) if cause else "no connection"


def _backoff_s(attempt: int) -> float:
    return min(2.0 ** (attempt - 1), _MAX_BACKOFF_S)


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """For how long the server wants not to be asked, in seconds; None if it does not say."""
    told = headers.get("retry-after", "").strip()
    if not told:
        return None
    try:
        after_s = float(told)
    except ValueError:
        try:
            after_s = email.utils.parsedate_to_datetime(told).timestamp() - time.time()
        except ValueError:
            return None
    return min(max(after_s, 0.0), MAX_RETRY_AFTER_S) if after_s == after_s else None  # noqa: PLR0124 - NaN
