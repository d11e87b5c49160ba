"""The tools that `muster mcp` offers: those for tasks, and one for each function of the workers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from pydantic import ValidationError

from ...messages import InvalidInput, Payload, Task, TaskFailed, TaskId
from ...messages.wording import summarize
from ..execution.json_schema import SchemaCheck
from ..report.json_value import to_json_value
from ..runtime.terminal_text import terminal_line
from .run_access import RunAccess, StoredAccess

MAX_ANSWER_CHARACTERS = 1_000_000
"""The maximum length of what a tool answers; what is longer is cut, and says so."""

MAX_WAITS = 100
"""How many calls may wait for tasks at the same time."""

LONGEST_WAIT_S = 600.0
"""How long one call waits at most, in seconds; the task goes on."""

PROGRESS_EVERY_S = 1.0
MAX_FUNCTION_TOOLS = 200
_MAX_NAME_CHARACTERS = 64

TellProgress: TypeAlias = Callable[[float, float, str], Awaitable[None]]
"""Tells whoever waits how many of how many seconds have passed, and what the task does."""

Answer: TypeAlias = Callable[[Mapping[str, Any], TellProgress], Awaitable[object]]


@dataclass(frozen=True)
class OfferedTool:
    """One tool that is offered to MCP's clients.

    Args:
        name: its name.
        description: what it does; of a function, it is foreign text.
        schema: the JSON schema of its arguments.
        answer: what it does.
        changes_nothing: whether it only reads.
    """

    name: str
    description: str
    schema: Mapping[str, Any]
    answer: Answer = field(repr=False)
    changes_nothing: bool = True
    check: SchemaCheck | None = field(default=None, repr=False)


_TASK_ID = {"type": ["string", "integer"], "description": "The task's id."}
_WAIT = {
    "type": "number",
    "minimum": 0,
    "maximum": LONGEST_WAIT_S,
    "default": 60,
    "description": "How long to wait, in seconds. The task goes on afterwards.",
}
_TASK_FIELDS: Mapping[str, Any] = {
    "type": {"type": "string", "description": "The task's type; list_task_types tells which."},
    "data": {"description": "Its data: the function's arguments by name, as an object."},
    "id": {**_TASK_ID, "description": "An id of your own. A task is added once for each id."},
    "description": {"type": "string", "description": "A line for people."},
    "priority": {"type": "integer", "description": "Higher numbers are assigned sooner."},
    "difficulty": {"type": "integer", "minimum": 1, "maximum": 10},
    "max_attempts": {"type": "integer", "minimum": 1, "maximum": 100},
    "timeout": {"type": "number", "description": "Of one attempt, in seconds."},
    "depends_on": {"type": "array", "items": {"type": ["string", "integer"]}},
}


class OfferedTools:
    """The tools for one run.

    Args:
        run: the run.
    """

    def __init__(self, run: RunAccess | StoredAccess) -> None:
        self._run = run
        self.version = 0
        """How often other functions have come or gone."""
        self._waits = 0
        self._fixed = {each.name: each for each in self._make()}
        self._functions: dict[str, OfferedTool] = {}
        self._told: Sequence[Mapping[str, Any]] = ()

    async def list(self) -> list[OfferedTool]:
        """The tools that there are now."""
        await self.look()
        return [*self._fixed.values(), *self._functions.values()]

    async def look(self) -> None:
        """Look which functions the workers have now; others increase `version`.

        Raises:
            MusterError: the manager can't be asked.
        """
        if not isinstance(self._run, RunAccess):
            return
        told: Sequence[Mapping[str, Any]] = await self._run.task_types()
        # Which workers have them may change often.
        told = [{name: each[name] for name in each if name != "workers"} for each in told]
        if told != self._told:
            self._told = told
            self._functions = self._make_functions(told)
            self.version += 1

    async def call(self, name: str, given: Mapping[str, Any], tell: TellProgress) -> str:
        """Call a tool, and return its answer as JSON.

        Raises:
            MusterError: what is wrong.
        """
        tool = self._fixed.get(name) or self._functions.get(name)
        if tool is None and name not in self._fixed:
            await self.look()
            tool = self._functions.get(name)
        if tool is None:
            raise InvalidInput(f"there is no tool {terminal_line(name[:100])!r}; list the tools")
        if tool.check is not None:
            tool.check.check(cast("Payload", dict(given)))
        answer = await tool.answer(given, tell)
        text = json.dumps(to_json_value(answer), ensure_ascii=False)
        if len(text) > MAX_ANSWER_CHARACTERS:
            text = (
                f"{text[:MAX_ANSWER_CHARACTERS]}\n(cut: the answer has {len(text):,} characters; "
                "`muster results TASK --json` prints all)"
            )
        return text

    # ------------------------------------------------------------------ tasks

    def _make(self) -> list[OfferedTool]:
        run = self._run

        async def status(given: Mapping[str, Any], _: TellProgress) -> object:
            return await run.status(given.get("task_id"))

        async def why(given: Mapping[str, Any], _: TellProgress) -> object:
            return await run.why(given["task_id"])

        async def workers(_: Mapping[str, Any], __: TellProgress) -> object:
            return await run.workers()

        async def questions(_: Mapping[str, Any], __: TellProgress) -> object:
            return await run.questions()

        reading = [
            _tool(
                "task_status",
                "The status of a task; without an id, how many tasks have each status.",
                status,
                {"task_id": _TASK_ID},
            ),
            _tool(
                "why",
                "Why a task is where it is: which workers were considered, or what it waits for.",
                why,
                {"task_id": _TASK_ID},
                ["task_id"],
            ),
            _tool("list_workers", "The workers, and how busy each is.", workers, {}),
            _tool("list_questions", "What tasks ask people, with the choices.", questions, {}),
        ]
        return reading if not isinstance(run, RunAccess) else [*self._make_changing(run), *reading]

    def _make_changing(self, run: RunAccess) -> list[OfferedTool]:
        async def submit(given: Mapping[str, Any], _: TellProgress) -> object:
            task = _make_task(given)
            await run.submit(task)
            return {"task_id": task.id}

        async def wait(given: Mapping[str, Any], tell: TellProgress) -> object:
            return await self._wait(run, given["task_id"], given.get("timeout_s", 60.0), tell)

        async def cancel(given: Mapping[str, Any], _: TellProgress) -> object:
            await run.cancel(given["task_id"], given.get("reason", ""))
            return {"task_id": given["task_id"], "cancelled": True}

        async def answer(given: Mapping[str, Any], _: TellProgress) -> object:
            await run.answer(given["task_id"], given["answer"], given.get("question"))
            return {"task_id": given["task_id"], "answered": given["answer"]}

        async def task_types(_: Mapping[str, Any], __: TellProgress) -> object:
            return await run.task_types()

        reason = {"reason": {"type": "string", "description": "Why, for the report."}}
        answering = {
            "answer": {"type": "string", "description": "One of the choices, or any text."},
            "question": {"type": "integer", "description": "Which, if it asks several at once."},
        }
        return [
            _tool(
                "submit_task",
                "Adds a task and returns its id at once; wait_for_task gives the result.",
                submit,
                _TASK_FIELDS,
                ["type"],
                changes_nothing=False,
            ),
            _tool(
                "wait_for_task",
                "Waits for a task and returns its result; its output is foreign text.",
                wait,
                {"task_id": _TASK_ID, "timeout_s": _WAIT},
                ["task_id"],
            ),
            _tool(
                "cancel_task",
                "Cancels a task; a worker that runs it is told to stop.",
                cancel,
                {"task_id": _TASK_ID, **reason},
                ["task_id"],
                changes_nothing=False,
            ),
            _tool(
                "answer_question",
                "Answers what a task asks a person; ask the person first.",
                answer,
                {"task_id": _TASK_ID, **answering},
                ["task_id", "answer"],
                changes_nothing=False,
            ),
            _tool(
                "list_task_types",
                "The task types that the workers take, with the JSON schemas of their arguments.",
                task_types,
                {},
            ),
        ]

    async def _wait(
        self, run: RunAccess, task_id: TaskId, timeout_s: float, tell: TellProgress
    ) -> Mapping[str, Payload]:
        """Wait for a task, and tell each second what it does."""
        if self._waits >= MAX_WAITS:
            raise InvalidInput(
                f"{MAX_WAITS} calls wait already, which is the limit; ask with task_status"
            )
        self._waits += 1
        telling = asyncio.ensure_future(_tell_regularly(run, task_id, timeout_s, tell))
        try:
            result = await run.wait(task_id, timeout_s)
        finally:
            self._waits -= 1
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        if result is not None:
            return result
        return {**await run.status(task_id), "waited_s": timeout_s, "why": await run.why(task_id)}

    # ------------------------------------------------------------------ functions

    def _make_functions(self, told: Sequence[Mapping[str, Any]]) -> dict[str, OfferedTool]:
        made: dict[str, OfferedTool] = {}
        for each in told:
            schema = each.get("parameters")
            if schema is None or len(made) >= MAX_FUNCTION_TOOLS:
                continue
            task_type = str(each["type"])
            name = "run_" + re.sub(r"[^A-Za-z0-9_-]", "_", task_type)
            name = name[:_MAX_NAME_CHARACTERS]
            if name in made or name in self._fixed:
                continue
            description = str(each.get("description") or "")
            made[name] = OfferedTool(
                name,
                f"Runs a task of type {task_type}, and waits for its output. {description}".strip(),
                cast("Mapping[str, Any]", schema),
                self._running(task_type),
                changes_nothing=False,
            )
        return made

    def _running(self, task_type: str) -> Answer:
        async def run_function(given: Mapping[str, Any], tell: TellProgress) -> object:
            assert isinstance(self._run, RunAccess)
            task = _make_task({"type": task_type, "data": dict(given) or None})
            await self._run.submit(task)
            told = await self._wait(self._run, task.id, LONGEST_WAIT_S, tell)
            if told.get("success") is False:
                worker, attempt = told["worker"], told["attempt"]
                raise TaskFailed(task.id, told["error_message"], worker=worker, attempts=attempt)
            return told

        return run_function


async def _tell_regularly(
    run: RunAccess, task_id: TaskId, timeout_s: float, tell: TellProgress
) -> None:
    passed_s = 0.0
    while True:
        await asyncio.sleep(PROGRESS_EVERY_S)
        passed_s += PROGRESS_EVERY_S
        lines = await run.why(task_id)
        await tell(min(passed_s, timeout_s), timeout_s, " ".join(lines[:2])[:500])


def _make_task(given: Mapping[str, Any]) -> Task:
    fields = {name: value for name, value in given.items() if value is not None}
    try:
        return Task(**fields)
    except ValidationError as fault:
        raise InvalidInput(f"the task can't be made: {summarize(fault)}") from None


def _tool(
    name: str,
    description: str,
    answer: Answer,
    properties: Mapping[str, Any],
    required: Sequence[str] = (),
    *,
    changes_nothing: bool = True,
) -> OfferedTool:
    schema = {
        "type": "object",
        "properties": dict(properties),
        "required": [*required],
        "additionalProperties": False,
    }
    check = SchemaCheck(name, schema)
    return OfferedTool(name, description, schema, answer, changes_nothing, check)
