"""`muster submit` and `muster cancel`: submit tasks to a running manager, and cancel one."""

from __future__ import annotations

import secrets

from pydantic import ValidationError

from ...messages import InvalidInput, Task
from ...messages.codec import summarize
from .why import possible_task_ids


def make_task(task_type: str, data: str | None, task_id: str | None) -> Task:
    """Make the task that the options of the command describe.

    Raises:
        InvalidInput: the data is no JSON, or a field is invalid.
    """
    fields = {
        "id": secrets.token_hex(12) if task_id is None else possible_task_ids(task_id)[0],
        "description": task_type,
        "type": task_type,
        "data": None if data is None else _read_json(data),
    }
    try:
        return Task.model_validate(fields)
    except ValidationError as fault:
        raise InvalidInput(f"the task can't be made: {summarize(fault)}") from None
