"""An answer of a model, put together from the chunks of a stream or read as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import BaseModel, Field

MAX_TOOL_CALLS = 64
"""The maximum number of tools that one answer may call."""

_MAX_ERROR_CHARACTERS = 500


@dataclass(slots=True)
class ToolCall:
    """A call of a tool, as the model wrote it.

    Args:
        call_id: identifies it in the conversation.
        name: the name of the tool.
        arguments: its arguments, which should be JSON.
    """

    call_id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class ModelAnswer:
    """One answer of a model.

    Args:
        calls: the tools that it calls, by their index.
        has_begun: whether the server has begun to answer, so that it may have to be paid.
        finish: why it has ended; "" before its end.
        tokens: how many tokens went in and came out; None if the server does not tell.
        characters: the length of all that came.
    """

    calls: dict[int, ToolCall] = field(default_factory=dict[int, ToolCall])
    has_begun: bool = False
    finish: str = ""
    tokens: tuple[int, int] | None = None
    characters: int = 0
    _text: list[str] = field(default_factory=list[str])
    _refusal: list[str] = field(default_factory=list[str])

    @property
    def text(self) -> str:
        """Its text."""
        return "".join(self._text)

    @property
    def refusal(self) -> str:
        """Why the model refused, or ""."""
        return "".join(self._refusal)

    def take(self, content: object) -> str:
        """Take a chunk, or a whole answer. Returns the text that it has.

        Raises:
            ValueError: it is neither; pydantic's error says why.
        """
        if isinstance(content, dict) and "error" in content and "choices" not in content:
            # Some servers tell faults with status 200.
            raise ValueError(_told_in(cast("dict[str, object]", content)["error"]))
        chunk = _Chunk.model_validate(content)
        if chunk.usage is not None:
            self.tokens = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
        if not chunk.choices:
            return ""
        choice = chunk.choices[0]
        self.finish = choice.finish_reason or self.finish
        message = choice.delta or choice.message or _Message()
        text, refusal = without_surrogates(message.content), without_surrogates(message.refusal)
        self._text.append(text)
        self._refusal.append(refusal)
        self.characters += len(text) + len(refusal)
        for number, each in enumerate(message.tool_calls or ()):
            self._take_call(number if each.index is None else each.index, each)
        return text

    def _take_call(self, index: int, part: _CallPart) -> None:
        if index not in self.calls and len(self.calls) == MAX_TOOL_CALLS:
            raise ValueError(f"it calls more than {MAX_TOOL_CALLS} tools at once")
        call = self.calls.setdefault(index, ToolCall())
        call.call_id = without_surrogates(part.id) or call.call_id or f"call_{index}"
        call.name += without_surrogates(part.function.name)
        arguments = without_surrogates(part.function.arguments)
        call.arguments += arguments
        self.characters += len(arguments)

    @property
    def is_complete(self) -> bool:
        """Whether its end has come."""
        return bool(self.finish) or self.tokens is not None

    @property
    def message(self) -> dict[str, Any]:
        """It as a message of the conversation."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text}
        if self.calls:
            message["tool_calls"] = [
                {
                    "id": each.call_id,
                    "type": "function",
                    "function": {"name": each.name, "arguments": each.arguments},
                }
                for each in self.calls.values()
            ]
        return message


def without_surrogates(text: str | None) -> str:
    """A text without lone surrogates, which can't be sent."""
    if text is None or text.isascii():
        return text or ""
    return text.encode(errors="replace").decode()


def _told_in(error: object) -> str:
    """The message of an error that a server has told."""
    message = cast("dict[str, object]", error).get("message") if isinstance(error, dict) else error
    return str(message)[:_MAX_ERROR_CHARACTERS]


# What servers send, as far as it is used; they add more.


class _Function(BaseModel):
    name: str | None = None
    arguments: str | None = None


class _CallPart(BaseModel):
    index: int | None = None
    id: str | None = None
    function: _Function = _Function()


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_CallPart] | None = None


class _Choice(BaseModel):
    delta: _Message | None = None
    message: _Message | None = None
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int = Field(default=0, ge=0, le=10**12)
    completion_tokens: int = Field(default=0, ge=0, le=10**12)


class _Chunk(BaseModel):
    choices: list[_Choice]
    usage: _Usage | None = None
