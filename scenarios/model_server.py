"""A small model server that is compatible with OpenAI's, and answers by rules.

A rule is a function from a `ModelCall` to a text or a `ModelReply`. The same call always gets the
same reply, so a run with such a server needs no network and no key:

```python
def answer(call: ModelCall) -> ModelReply | str:
    if "weather" in call.text and not call.tool_results:
        return ModelReply(calls=[("weather", {"city": "Colombo"})])
    return "sunny"

async with ModelServer(answer) as server:
    handlers = ModelHandlers(model="small", base_url=server.url)
```
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeAlias, cast

from typing_extensions import Self

MAX_BODY_BYTES = 16 * 1024 * 1024
_MAX_HEAD_BYTES = 64 * 1024
_HEAD_END = b"\r\n\r\n"
_STOPPING_S = 1.0


@dataclass(frozen=True, slots=True)
class ModelCall:
    """What a client asks of a model.

    Args:
        model: the name of the model.
        messages: the conversation so far, as the client sent it.
        tools: the names of the tools that the model may call.
        schema: the JSON schema of the answer, if the client wants it structured.
    """

    model: str
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[str] = ()
    schema: Mapping[str, Any] | None = None

    @property
    def system(self) -> str:
        """The system prompt, or ""."""
        return "\n".join(self._contents("system"))

    @property
    def text(self) -> str:
        """What the user said last."""
        return (self._contents("user") or [""])[-1]

    @property
    def tool_results(self) -> list[str]:
        """What the tools have answered, in the order of the calls."""
        return self._contents("tool")

    def _contents(self, role: str) -> list[str]:
        return [str(each.get("content")) for each in self.messages if each.get("role") == role]


@dataclass(frozen=True, slots=True)
class ModelReply:
    """What the server answers.

    Args:
        text: the text of the answer.
        calls: the tools that the model calls, each with its arguments.
        tokens_in: how many tokens went in; None to count the words.
        tokens_out: how many tokens came out; None to count the words.
        delay_s: how long the model thinks before it begins to answer, in seconds.
        status: another HTTP status than 200, with the text as the error's message.
        headers: more headers of the response.
        finish: why the model has stopped; "" for the usual reason.
        write: writes to the connection in place of all that, and then it is closed.
    """

    text: str = ""
    calls: Sequence[tuple[str, Mapping[str, Any]]] = ()
    tokens_in: int | None = None
    tokens_out: int | None = None
    delay_s: float = 0.0
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    finish: str = ""
    write: Callable[[asyncio.StreamWriter], Awaitable[None]] | None = None


Rule: TypeAlias = Callable[[ModelCall], "ModelReply | str | Awaitable[ModelReply | str]"]
"""What decides the answers of a server."""


class ModelServer:
    """An HTTP server on this machine that answers as a language model.

    Args:
        rule: decides the answers; a plain or an async function.
        models: the names of the models that it has.
        keys: the API keys that it takes; None for any, and for none.
        port: its port; 0 for any free one.
    """

    def __init__(
        self,
        rule: Rule,
        *,
        models: Collection[str] = ("small", "large"),
        keys: Collection[str] | None = None,
        port: int = 0,
    ) -> None:
        self._rule = rule
        self._models = tuple(models)
        self._keys = keys
        self._port = port
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.calls: list[ModelCall] = []
        """All calls that it has got."""
        self.connection_count = 0
        """How many connections were opened to it."""

    @property
    def url(self) -> str:
        """Its address, for `base_url`."""
        return f"http://127.0.0.1:{self._port}/v1"

    async def start(self) -> None:
        """Begin to serve."""
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self._port, limit=_MAX_HEAD_BYTES
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop serving, and close all connections."""
        if self._server is not None:
            self._server.close()
            for each in self._connections:
                each.cancel()
            if self._connections:
                await asyncio.wait(self._connections, timeout=_STOPPING_S)
            self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()

    # ------------------------------------------------------------------ one connection

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        here = cast("asyncio.Task[None]", asyncio.current_task())
        self._connections.add(here)
        self.connection_count += 1
        try:
            # Whoever closes the connection ends what is being written to it.
            with contextlib.suppress(
                OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError
            ):
                while await self._answer_one(reader, writer):
                    pass
        except asyncio.CancelledError:
            # The server stops; asyncio would report the cancellation of a connection.
            pass
        finally:
            self._connections.discard(here)
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(_HEAD_END)).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        method, path, _ = f"{first}  ".split(" ", 2)
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        size = int(headers.get("content-length") or 0)
        if size > MAX_BODY_BYTES:
            return False
        body = await reader.readexactly(size)
        key = headers.get("authorization", "").removeprefix("Bearer ")
        if self._keys is not None and key not in self._keys:
            await _send_fault(writer, 401, f"Incorrect API key provided: {key}")
        elif (method, path) == ("GET", "/v1/models"):
            listed = [{"id": name, "object": "model"} for name in self._models]
            await _send(writer, 200, {"object": "list", "data": listed})
        elif (method, path) == ("POST", "/v1/chat/completions"):
            return await self._complete(json.loads(body), writer)
        else:
            await _send_fault(writer, 404, f"there is no {method} {path}")
        return True

    async def _complete(self, asked: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        offered: list[dict[str, Any]] = asked.get("tools", [])
        form: dict[str, Any] = asked.get("response_format", {})
        call = ModelCall(
            asked["model"],
            asked["messages"],
            [each["function"]["name"] for each in offered],
            form.get("json_schema", {}).get("schema"),
        )
        if call.model not in self._models:
            await _send_fault(writer, 404, f"The model `{call.model}` does not exist")
            return True
        self.calls.append(call)
        told = self._rule(call)
        if inspect.isawaitable(told):
            told = await told
        reply = ModelReply(told) if isinstance(told, str) else told
        if reply.delay_s:
            await asyncio.sleep(reply.delay_s)
        if reply.write is not None:
            await reply.write(writer)
            return False
        if reply.status != HTTPStatus.OK:
            await _send_fault(writer, reply.status, reply.text, reply.headers)
        elif asked.get("stream"):
            await _send_stream(writer, call, reply)
        else:
            await _send(writer, 200, _completion(call, reply), reply.headers)
        return True


# ------------------------------------------------------------------ what is sent


def stream_head(headers: Mapping[str, str] | None = None) -> bytes:
    """The head of a response whose events follow until the connection is closed."""
    told = {"content-type": "text/event-stream", "connection": "close", **(headers or {})}
    return _head(200, told)


def stream_event(content: str) -> bytes:
    """One event of a stream, with a part of the text."""
    return _event({"choices": [{"index": 0, "delta": {"content": content}}]})


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{lines}\r\n".encode("latin-1")


def _event(content: object) -> bytes:
    return b"data: " + json.dumps(content).encode() + b"\n\n"


async def _send(
    writer: asyncio.StreamWriter,
    status: int,
    content: object,
    headers: Mapping[str, str] | None = None,
) -> None:
    body = json.dumps(content).encode()
    told = {"content-type": "application/json", "content-length": str(len(body))}
    writer.write(_head(status, {**told, **(headers or {})}) + body)
    await writer.drain()


async def _send_fault(
    writer: asyncio.StreamWriter,
    status: int,
    message: str,
    headers: Mapping[str, str] | None = None,
) -> None:
    await _send(writer, status, {"error": {"message": message, "type": "error"}}, headers)


async def _send_stream(writer: asyncio.StreamWriter, call: ModelCall, reply: ModelReply) -> None:
    told = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
    writer.write(_head(200, {**told, **reply.headers}))
    async for event in _events(call, reply):
        writer.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _events(call: ModelCall, reply: ModelReply) -> AsyncIterator[bytes]:
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": call.model}
    message = _message(reply)
    words = reply.text.split(" ")
    for number, word in enumerate(words):
        delta = {"content": word if number == len(words) - 1 else f"{word} "}
        yield _event({**base, "choices": [{"index": 0, "delta": delta}]})
    for index, each in enumerate(message.get("tool_calls", ())):
        delta = {"tool_calls": [{"index": index, **each}]}
        yield _event({**base, "choices": [{"index": 0, "delta": delta}]})
    end: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": _finish_of(reply)}
    yield _event({**base, "choices": [end]})
    yield _event({**base, "choices": [], "usage": _usage_of(call, reply)})
    yield b"data: [DONE]\n\n"


def _completion(call: ModelCall, reply: ModelReply) -> dict[str, Any]:
    choice = {"index": 0, "message": _message(reply), "finish_reason": _finish_of(reply)}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": call.model,
        "choices": [choice],
        "usage": _usage_of(call, reply),
    }


def _message(reply: ModelReply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if reply.calls:
        message["tool_calls"] = [
            {
                "id": f"call_{number}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)},
            }
            for number, (name, arguments) in enumerate(reply.calls, 1)
        ]
    return message


def _finish_of(reply: ModelReply) -> str:
    return reply.finish or ("tool_calls" if reply.calls else "stop")


def _usage_of(call: ModelCall, reply: ModelReply) -> dict[str, int]:
    words_in = sum(len(str(each.get("content")).split()) for each in call.messages)
    words_out = len(reply.text.split()) + sum(len(json.dumps(each)) for each in reply.calls) // 4
    tokens_in = words_in if reply.tokens_in is None else reply.tokens_in
    tokens_out = words_out if reply.tokens_out is None else reply.tokens_out
    return {
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
    }
