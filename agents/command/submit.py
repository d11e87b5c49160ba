"""`muster submit`: submits tasks to a running manager."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

from pydantic import ValidationError

from ...messages import InvalidInput, Task, TaskResult, TaskStatus
from ...messages.codec import summarize
from ..client.client import Client
from ..kernel.model.error_kind import error_kind
from ..report.json_value import to_json_value
from ..runtime.strict_json import JsonFault, decode_json, describe_json_fault
from .console.exit import EXIT_FAILED, EXIT_OK
from .output import write_json_text, write_line
from .why import possible_task_ids


def make_task(task_type: str, data: str | None, task_id: str | None) -> Task:
    """Make the task that the options of the command describe.

    Raises:
        InvalidInput: the data is no JSON, or a field is invalid.
    """
    try:
        content = None if data is None else decode_json(data)
    except JsonFault as fault:
        raise InvalidInput(
            f"--data is not JSON: {describe_json_fault(fault)}; text needs quotes, as in "
            "--data '\"cat.png\"'"
        ) from None
    make = partial(Task, type=task_type, data=content)
    try:
        return make() if task_id is None else make(id=possible_task_ids(task_id)[0])
    except ValidationError as fault:
        raise InvalidInput(f"the task can't be made: {summarize(fault)}") from None


async def submit_tasks(client: Client, tasks: Sequence[Task], *, waits: bool, as_json: bool) -> int:
    """Submit tasks, and write a line for each result, in the order in which they come.

    Args:
        client: a client that is not connected yet.
        tasks: the tasks.
        waits: whether to wait for the results; otherwise the ids are written.
        as_json: write JSON.

    Returns:
        The exit code: 1 if a task has failed.
    """
    has_failed = False
    async with client:
        if not waits:
            await client.add_tasks(tasks)
            for task in tasks:
                write_line(str(task.id))
            return EXIT_OK
        async for result in client.submit_many(tasks):
            has_failed = has_failed or not result.success
            if as_json:
                write_json_text(result_as_json(result))
            else:
                write_line(describe_result(result))
    return EXIT_FAILED if has_failed else EXIT_OK


def describe_result(result: TaskResult, *, with_output: bool = True) -> str:
    """A result as a line of text."""
    by = f" by {result.worker}" if result.worker else ""
    if result.success:
        output = f": {result.output}" if with_output else ""
        return f"{result.task_id}: completed{by} in {result.execution_time:.3g} s{output}"
    error = result.error_message or ""
    if error_kind(error) == TaskStatus.CANCELLED.value:
        return f"{result.task_id}: {error}"
    return f"{result.task_id}: failed{by}: {error}"


def result_as_json(result: TaskResult) -> str:
    """A result as a line of JSON."""
    fields = {
        "task_id": result.task_id,
        "worker": result.worker,
        "success": result.success,
        "execution_time": result.execution_time,
        "attempt": result.attempt,
        "error_message": result.error_message,
        "output": to_json_value(result.output),
    }
    return json.dumps(fields)
