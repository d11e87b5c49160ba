"""`muster submit --stream` and `muster results`: write parts and results as they come."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence

from ...messages import RunEnded, Task, TaskFailed, TaskId, TaskResult
from ..client.client import Client
from ..report.json_value import to_json_value
from ..runtime.terminal_text import terminal_lines
from ..submission.parts import StreamedPart
from .console.exit import EXIT_FAILED, EXIT_OK
from .console.reserved_stdout import own_stdout
from .output import write_json_text, write_line, write_to
from .submit import describe_result, result_as_json

MAX_AT_ONCE = 100
"""How many tasks are followed at a time."""


async def follow_tasks(
    client: Client,
    tasks: Sequence[Task | Sequence[TaskId]],
    *,
    with_parts: bool,
    as_json: bool,
) -> int:
    """Write the parts of tasks as they come, and a line for each result.

    Args:
        client: a client that is not connected yet.
        tasks: the tasks to submit, or the possible ids of tasks that the manager has.
        with_parts: whether parts are written, too.
        as_json: write JSON lines.

    Returns:
        The exit code: 1 if a task has failed.
    """
    following = _Following(client, is_alone=len(tasks) == 1, as_json=as_json)
    async with client:
        turns = asyncio.Semaphore(MAX_AT_ONCE)

        async def follow(task: Task | Sequence[TaskId]) -> bool:
            async with turns:
                return await following.follow(task, with_parts=with_parts)

        succeeded = await asyncio.gather(*map(follow, tasks))
    return EXIT_OK if all(succeeded) else EXIT_FAILED


async def follow_all(client: Client, *, as_json: bool) -> int:
    """Write a line for each result of any task, from now on, until the run ends.

    Args:
        client: a client that is not connected yet.
        as_json: write JSON lines.
    """
    async with client:
        with contextlib.suppress(RunEnded):
            async for result in client.follow():
                if as_json:
                    write_json_text(result_as_json(result))
                else:
                    write_line(describe_result(result))
    return EXIT_OK


class _Following:
    def __init__(self, client: Client, *, is_alone: bool, as_json: bool) -> None:
        self._client = client
        self._is_alone = is_alone
        self._as_json = as_json
        self._is_line_open = False

    async def follow(self, task: Task | Sequence[TaskId], *, with_parts: bool) -> bool:
        """Write what comes of a task; whether it succeeded."""
        if isinstance(task, Task):
            task_id = task.id
            await self._client.add_tasks([task])
        else:
            task_id = await self._client.find(task)
        if with_parts:
            try:
                async for part in self._client.stream(task_id):
                    self._write_part(task_id, part)
            except TaskFailed:
                # The result tells why.
                pass
        result = await self._client.result(task_id)
        self._write_result(result, is_streamed=with_parts)
        return result.success

    def _write_part(self, task_id: TaskId, part: StreamedPart) -> None:
        data = to_json_value(part.data)
        if self._as_json:
            line: dict[str, object] = {
                "task_id": task_id,
                "attempt": part.attempt,
                "number": part.number,
                "part": data,
            }
            if part.begins_anew:
                line["begins_anew"] = True
            if part.missed:
                line["missed"] = part.missed
            write_json_text(json.dumps(line))
            return
        if part.begins_anew:
            self._note(f"{task_id}: begins anew, attempt {part.attempt}")
        if part.missed:
            self._note(f"{task_id}: {part.missed:,} parts before are not kept")
        if self._is_alone and isinstance(data, str):
            # As it would be printed, such as the words of a language model.
            write_to(own_stdout(), terminal_lines(data))
            self._is_line_open = not data.endswith("\n")
        else:
            text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
            write_line(text if self._is_alone else f"{task_id}: {text}")

    def _write_result(self, result: TaskResult, *, is_streamed: bool) -> None:
        if self._as_json:
            write_json_text(result_as_json(result))
        elif is_streamed and result.success:
            self._note(describe_result(result, with_output=False))
        else:
            self._note(describe_result(result))

    def _note(self, line: str) -> None:
        """Write a line of its own."""
        if self._is_line_open:
            write_line("")
            self._is_line_open = False
        write_line(line)
