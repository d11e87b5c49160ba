"""How a URL names a task: 7 is the integer, "7" with its quotes the text.

The id stands in the path as JSON. A text that JSON would not take for a number may do without its
quotes, as `weigh-the-leaf`.
"""

from __future__ import annotations

import json
import re

from ...messages import TaskId, UnknownTask
from ...messages.task import MAX_NAME_CHARACTERS
from ...messages.wording import show

_INTEGER = re.compile(r"[1-9][0-9]{0,18}")
_MAX_CHARACTERS = 6 * MAX_NAME_CHARACTERS + 2
"""As JSON each character may be written as `\\u0041`."""


def write_task_id(task_id: TaskId) -> str:
    """A task's id as JSON. As a text it survives readers whose integers are shorter than ours."""
    return json.dumps(task_id)


def read_task_id(written: str) -> TaskId:
    """Read a task's id as it stands in a URL, after its percent signs were resolved.

    Raises:
        UnknownTask: no task can have such an id.
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
            '"7", and a text that is no number may do without the quotes'
        )
    return read
