"""The functions behind the task types of a manager's workers, as these have told them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...messages import InvalidInput, Payload, Task, WrongCall
from ...messages.functions import TaskFunction, WorkerFunctions
from ..execution.json_schema import SchemaCheck
from ..kernel.board.board import Board
from ..kernel.model.events import WorkerId
from ..kernel.model.records import WorkerRecord

MAX_BYTES_PER_WORKER = 4 * 1024 * 1024
"""How much the functions of one worker may take, as text."""


class WorkerFunctionTable:
    """The functions that connected workers have told; it is kept in memory only.

    Args:
        board: knows which workers are connected, and which types they take.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        # By the worker's address.
        self._functions: dict[WorkerId, dict[str, TaskFunction]] = {}
        self._checks: dict[WorkerId, dict[str, SchemaCheck]] = {}

    def told(self, sender: WorkerId, message: WorkerFunctions) -> None:
        """Take what a worker tells; of what is too large, the rest is ignored."""
        if self._board.worker_registry.present.get(sender) is None:
            return
        self._forget_others()
        functions: dict[str, TaskFunction] = {}
        checks: dict[str, SchemaCheck] = {}
        size = 0
        for each in message.functions:
            size += len(each.description) + len(str(each.parameters))
            if size > MAX_BYTES_PER_WORKER:
                break
            functions[each.type] = each
            if each.is_checked:
                try:
                    checks[each.type] = SchemaCheck(each.type, each.parameters)
                except InvalidInput:
                    # Its worker checks the arguments as well.
                    continue
        self._functions[sender], self._checks[sender] = functions, checks

    def check(self, tasks: Iterable[Task]) -> None:
        """Check the data of tasks against the schemas of the connected workers that take them.

        If workers have different schemas for a type, data that match one of them will do.

        Raises:
            WrongCall: no worker's function can be called with them.
        """
        if not any(self._checks.values()):
            return
        known: dict[str, list[SchemaCheck]] = {}
        for task in tasks:
            if not task.type or task.takes_output:
                continue
            if task.type not in known:
                known[task.type] = self._checks_of(task.type)
            _check(task, known[task.type])

    def _checks_of(self, task_type: str) -> list[SchemaCheck]:
        """The checks of the workers that take a type; none if one of them takes any data."""
        found: list[SchemaCheck] = []
        for worker in self._workers():
            if worker.task_types is None or task_type in worker.task_types:
                check = self._checks.get(worker.worker_id, {}).get(task_type)
                if check is None:
                    return []
                found.append(check)
        return found

    def list(self) -> list[dict[str, Payload]]:
        """The task types that connected workers take, with their functions."""
        found: dict[str, dict[str, Payload]] = {}
        for worker in self._workers():
            functions = self._functions.get(worker.worker_id, {})
            for task_type in sorted(worker.task_types or ()):
                told = found.setdefault(
                    task_type, {"type": task_type, "description": "", "workers": []}
                )
                told["workers"].append(worker.name)
                function = functions.get(task_type)
                if function is not None and "parameters" not in told:
                    told["description"] = function.description
                    told["parameters"] = function.parameters
        return [*found.values()]

    def _workers(self) -> Iterator[WorkerRecord]:
        return (each for each in self._board.workers.values() if each.alive)

    def _forget_others(self) -> None:
        present = self._board.worker_registry.present
        for address in [each for each in self._functions if each not in present]:
            del self._functions[address], self._checks[address]


def _check(task: Task, checks: Iterable[SchemaCheck]) -> None:
    fault: WrongCall | None = None
    for each in checks:
        try:
            each.check(task.data)
            return
        except WrongCall as found:
            fault = found
    if fault is not None:
        raise fault
