"""Reads the replies of a manager: values, errors, and why a result can't be had."""

from __future__ import annotations

import asyncio
from typing import cast

from ... import messages
from ...messages import LocalError, MusterError, Payload, TaskId, UnknownTask


def set_reply(future: asyncio.Future[Payload], reply: Payload | MusterError) -> None:
    """Set a reply, or raise the error that it is, unless nobody waits any more."""
    if future.done():
        return
    if isinstance(reply, MusterError):
        future.set_exception(reply)
    else:
        future.set_result(reply)


def error_of(kind_name: str, text: str) -> MusterError:
    """The error that a reply tells of, of the manager's own class if it can be made of a text."""
    kind: object = getattr(messages, kind_name, None)
    if isinstance(kind, type) and issubclass(kind, MusterError):
        try:
            fault = kind(text)
        except TypeError:
            pass
        else:
            if str(fault) == text:
                return fault
    return LocalError(f"{kind_name}: {text}")


def read_unknown(entry: Payload) -> tuple[TaskId, MusterError]:
    """A task whose result can't be had, and why.

    Args:
        entry: the task's id alone, as older managers send it, or with the error's class and text.
    """
    if isinstance(entry, list | tuple):
        task_id, kind_name, text = cast("tuple[TaskId, str, str]", entry)
        return task_id, error_of(kind_name, text)
    return entry, UnknownTask(f"the manager has no task {entry!r}")
