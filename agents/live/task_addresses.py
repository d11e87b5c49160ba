"""Task ids in URLs: 7 is the integer, "7" with quotes the text.

The path contains the id as JSON. A text that is not a number in JSON, such as `weigh-the-leaf`,
needs no quotes.
"""

from __future__ import annotations

import json
import re

from ...messages import TaskId, UnknownTask
from ...messages.task import MAX_NAME_CHARACTERS
from ...messages.wording import show

_INTEGER = re.compile(r"[1-9][0-9]{0,18}")
_MAX_CHARACTERS = 6 * MAX_NAME_CHARACTERS + 2
"""JSON may escape each character, as in `\\u0041`."""


def write_task_id(task_id: TaskId) -> str:
    """A task's id as JSON text, so that large integers survive readers with shorter ones."""
    return json.dumps(task_id)


def read_task_id(written: str) -> TaskId:
    """Read a task's id from a URL whose percent-encoding is decoded.

    Raises:
        UnknownTask: it is not a task id.
    """
    if _INTEGER.fullmatch(written):
        return int(written)
    if not written.startswith('"'):
        return written
    try:
        read: object = json.loads(written) if len(written) <= _MAX_CHARACTERS else None
    except ValueError:
        read = None
    if not isinstance(read, str):
        raise UnknownTask(
            f"no task has the id {show(written)}; in a URL an id is JSON, such as 7 or "
            '"7", and a text that is not a number needs no quotes'
        )
    return read
