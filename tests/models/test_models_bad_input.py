"""What is wrong about a model is said in one line, before any task comes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muster.agents import Handlers, ModelHandlers, ModelLimits, Price
from muster.agents.command.model_worker import ModelOptions, make_model_handlers
from muster.messages import ExtraMissing, InvalidInput, LocalError, ModelUnusable
from muster.scenarios.model_server import ModelServer
from pydantic import BaseModel

URL = "http://127.0.0.1:9/v1"


class NoSchema(BaseModel):
    call: Callable[[], int]


def untyped(x, *rest):
    return x


def tool(x: int) -> int:
    return x


def odd(x: NoSchema) -> int:
    return 1


def made(**options: Any) -> ModelHandlers:
    return ModelHandlers(**{"model": "small", "base_url": URL, **options})


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "no key": (lambda: made(base_url=None), "https://api.openai.com/v1 needs a key; set MUSTER_"),
    "no name": (lambda: made(model=" "), "the model is called ' '; give the name"),
    "price": (lambda: Price(-1, 2), "in_per_million is -1; it must be a finite number of 0 or"),
    "price out": (lambda: Price(1, float("nan")), "out_per_million is nan; it must be"),
    "price text": (lambda: Price(1, "2"), "out_per_million is '2'"),  # type: ignore[arg-type]
    "turns": (lambda: ModelLimits(max_turns=0), "max_turns is 0; it must be a whole number from"),
    "tokens": (lambda: ModelLimits(max_tokens=True), "max_tokens is True; it must be a whole"),
    "seconds": (lambda: ModelLimits(max_s=0), "max_s is 0; it must be a finite number above 0"),
    "cost": (lambda: ModelLimits(max_cost=-2), "max_cost is -2; it must be a finite number above"),
    "no price": (lambda: made(limits=ModelLimits(max_cost=1)), "max_cost needs a price"),
    "types": (lambda: made(types="answer"), "types is 'answer'; it must be a list of types"),
    "blank type": (lambda: made(types=[" "]), "a handler needs a type of task, not the blank ' '"),
    "not among": (
        lambda: made(types=["a"], system={"b": "Be brief."}),
        "there is a system prompt or an output for 'b', which is not among the types: a",
    ),
    "no model": (lambda: made(output=dict), "it must be a class of pydantic's models"),
    "no schema": (lambda: made(output=NoSchema), "NoSchema has no JSON schema"),
    "no tool": (lambda: made(tools=[7]), "7 can't be a tool of a model; give a function"),
    "lambda": (lambda: made(tools=[lambda: 1]), "can't be a tool of a model; write a function"),
    "rest": (lambda: made(tools=[untyped]), "the tool 'untyped' takes 'rest' by position"),
    "twice": (lambda: made(tools=[tool, tool]), "two tools are called 'tool'"),
    "no file": (lambda: made(key_file="/none/key"), "the key file '/none/key' can't be read: No"),
    "options": (
        lambda: make_model_handlers(ModelOptions(price_in=1.0), None),
        "--price-in is for a model; add --model NAME",
    ),
    "one price": (
        lambda: make_model_handlers(ModelOptions("small", URL, price_out=1.0), None),
        "--price-in and --price-out belong together",
    ),
    "negative price": (
        lambda: make_model_handlers(ModelOptions("small", URL, price_in=-1, price_out=1), None),
        "--price-in is -1; it must be a finite number of 0 or more",
    ),
    "listed types": (
        lambda: make_model_handlers(ModelOptions("small", URL, types=["tell,sum"]), None),
        "--types 'tell,sum' is a list; give each type by itself: --types tell --types sum",
    ),
    "no prompt": (
        lambda: make_model_handlers(ModelOptions("small", URL, system=Path("/none")), None),
        "the system prompt '/none' can't be read",
    ),
}


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MUSTER_MODEL_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_said_in_one_line(name: str) -> None:
    make, told = BAD[name]
    with pytest.raises(InvalidInput) as fault:
        make()
    assert told in str(fault.value)
    assert "\n" not in str(fault.value)
    assert "secret" not in str(fault.value)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("localhost:8000/v1", "it must begin with http:// or https://"),
        ("ftp://localhost/v1", "it must begin with http:// or https://"),
        ("http://", "it must begin with http:// or https:// and a host"),
        ("http:///v1", "it must begin with http:// or https:// and a host"),
        ("http://127.0.0.1:99999/v1", "'http://127.0.0.1:99999/v1'; it must"),
        ("http://127.0.0.1:0/v1", "'http://127.0.0.1:0/v1'; it must"),
        ("http://127.0.0.1:port/v1", "'http://127.0.0.1:port/v1'; it must"),
        ("http://[::1/v1", "'http://[::1/v1'; it must"),
        ("http://127.0.0.1/v 1", "no spaces"),
        ("http://127.0.0.1/\x1b[31m", "no spaces"),
        ("http://127.0.0.1/v1?version=2", "no '?'"),
        ("http://me:secret@127.0.0.1/v1", "'http://…@127.0.0.1/v1'; it must"),
        ("http://127.0.0.1/v1/chat/completions", "leave out '/chat/completions' at its end"),
        ("http://127.0.0.1/v1/models/", "leave out '/models' at its end"),
    ],
)
def test_what_is_no_base_url_is_said_in_one_line(url: str, told: str) -> None:
    with pytest.raises(InvalidInput) as fault:
        made(base_url=url)
    assert told in str(fault.value)
    assert str(fault.value).isprintable()
    assert "secret" not in str(fault.value)


@pytest.mark.parametrize("content", [b"", b" \n", b"a b", b"k\n2", b"\xff\xfe", b"k" * 9_000])
def test_a_key_file_without_a_key_is_refused_without_showing_it(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(InvalidInput, match="holds no key; it must be one line of ASCII") as fault:
        made(key_file=file)
    assert "kkk" not in str(fault.value)


def test_a_key_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_text("sk-7f3\n")

    async def main() -> None:
        async with ModelServer(lambda call: "hi", keys=["sk-7f3"]) as server:
            await made(base_url=server.url, key_file=file).check_server()
            monkeypatch.setenv("OPENAI_API_KEY", "two")
            monkeypatch.setenv("MUSTER_MODEL_KEY", "sk-7f3")
            handlers = made(base_url=server.url)
            await handlers.check_server()
            assert "sk-7f3" not in repr(vars(handlers)) + repr(vars(handlers._client))

    asyncio.run(main())


async def answers(status: str, content: str) -> tuple[asyncio.Server, str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n"
        writer.write(f"{head}content-length: {len(content)}\r\n\r\n{content}".encode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("status", "content", "told"),
    [
        ("404 Not Found", "{}", "is no model server: it has no /models; try http"),
        ("200 OK", "<html>", "is no model server that is compatible with OpenAI's"),
        ("200 OK", "[1]", "is no model server that is compatible with OpenAI's"),
        ("500 Oops", "{}", "is no model server that is compatible with OpenAI's"),
        ("302 Found", "{}", "is no model server that is compatible with OpenAI's"),
        ("401 No", '{"error": {"message": "\\u001b[31mred"}}', "wants a key, and there is none"),
        ("200 OK", '{"data": [{"id": "large"}, 7]}', "has no model 'small'; it has large"),
    ],
)
def test_a_server_that_cannot_be_used_is_told_in_one_line(
    status: str, content: str, told: str
) -> None:
    async def main() -> None:
        server, url = await answers(status, content)
        with pytest.raises(ModelUnusable) as fault:
            await made(base_url=url).check_server()
        text = str(fault.value)
        assert told in text
        assert "\n" not in text
        assert "\x1b" not in text
        assert isinstance(fault.value, LocalError)
        server.close()

    asyncio.run(main())


def test_an_address_where_nobody_listens_is_told() -> None:
    with pytest.raises(ModelUnusable, match=r"can't be reached: .*; change the URL"):
        asyncio.run(made(base_url="http://127.0.0.1:1/v1").check_server())


def test_a_server_without_names_of_models_is_believed() -> None:
    async def main() -> None:
        server, url = await answers("200 OK", '{"data": []}')
        await made(base_url=url).check_server()
        server.close()

    asyncio.run(main())


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    monkeypatch.delitem(sys.modules, "muster.agents.models.client", raising=False)
    with pytest.raises(ExtraMissing, match="models"):
        made()


def test_models_and_own_handlers_can_be_in_one_worker() -> None:
    others = Handlers()
    others.task("count")(lambda task: 1)
    both = made(types=["answer"])
    both.update(others)
    assert both.task_types == ("answer", "count")
    assert made(reviews={"answer": "Is it right?"}).task_types == ()
