"""The messages that a model gets for a task."""

from __future__ import annotations

import json
from typing import Any, cast

from ...messages import Payload
from ...messages.wording import show
from ..execution.handler_requests import WrongArguments
from ..execution.handlers import TaskContext
from ..report.json_value import to_json_value

Messages = list[dict[str, Any]]

_ROLES = ("system", "developer", "user", "assistant", "tool")


def messages_of(context: TaskContext, system: str) -> Messages:
    """The messages of a task.

    Its data are the prompt: a text, `{"prompt": text}`, or `{"messages": [...]}`. Other data are
    written as JSON below the task's description. Without data, the description is the prompt. The
    outputs of the tasks that it depends on follow.

    Args:
        context: the context of the task.
        system: the system prompt; "" for none.

    Raises:
        WrongArguments: the data are no prompt, which no worker can do anything about.
    """
    task = context.task
    # Who gives no description has not meant that the type is the prompt.
    is_blank = task.data is None and task.description == task.type
    messages = _told(task.data, "" if is_blank else task.description)
    if system:
        messages.insert(0, {"role": "system", "content": system})
    earlier: dict[str, Payload] = {str(name): each for name, each in context.inputs.items()}
    if earlier and not task.takes_output:
        text = f"The results of earlier tasks:\n{as_text(earlier)}"
        messages.append({"role": "user", "content": text})
    return messages


def as_text(value: object) -> str:
    """A value as a model reads it: a text as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(to_json_value(value), ensure_ascii=False)


def length_of(messages: Messages) -> int:
    """How many characters messages have, about."""
    return sum(len(json.dumps(each, ensure_ascii=False)) for each in messages)


def _told(given: object, description: str) -> Messages:
    data = given
    if isinstance(given, dict):
        named = cast("dict[str, object]", given)
        if "messages" in named:
            return _checked(named["messages"])
        data = named["prompt"] if isinstance(named.get("prompt"), str) else named
    if data is None:
        text = description
    elif isinstance(data, str):
        text = data
    else:
        text = f"{description}\n\n{as_text(data)}".strip()
    if not text.strip():
        raise WrongArguments("the prompt is blank; give the task data, or a description")
    return [{"role": "user", "content": text}]


def _checked(given: Any) -> Messages:
    messages = cast("list[Any]", given) if isinstance(given, list) else []
    if not messages:
        raise WrongArguments(
            f"messages is {show(cast('object', given))}; it must be a list of messages"
        )
    for number, each in enumerate(messages, 1):
        message = cast("dict[str, object]", each) if isinstance(each, dict) else {}
        if message.get("role") not in _ROLES or "content" not in message:
            shown = show(cast("object", each))
            raise WrongArguments(
                f"message {number} is {shown}; it must be an object with the content and a role, "
                f"one of {', '.join(_ROLES)}"
            )
    return cast("Messages", [*messages])
