"""Answers what clients, and the handlers that workers run, ask of a manager."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeAlias, cast

from ...messages import (
    AwaitTasks,
    DecodeError,
    InvalidInput,
    InvalidTask,
    ManagerReply,
    ManagerRequest,
    MusterError,
    Payload,
    ResultForgotten,
    RunEnded,
    SubmitTasks,
    TaskId,
    TaskStatus,
    UnknownName,
    UnknownTask,
)
from ...messages.codec import decode_task
from ...messages.task import check_task_id
from ...messages.wording import find_known_id, show
from ..diagram.sequence_of_run import tell_as_sequence
from ..diagram.sequence_writer import write_sequence
from ..kernel.board.board import Board
from ..kernel.trace import trace_of
from ..runtime.clock import wall_now
from ..schedules.listing import list_schedules
from ..submission.result_source import Settle
from .awaited_results import AwaitedResults
from .board_driver import BoardDriver
from .handover import Handover
from .manager_state import describe_manager
from .subtasks import SubtaskSubmission

KEPT_REPLIES = 1_000
"""How many replies are kept for one that repeats requests after its connection was lost."""

MAX_TOLD_TASKS = 10_000
"""Of how many tasks a report or a diagram is made for clients."""

Method: TypeAlias = Callable[[Mapping[str, Payload]], Payload]
Request: TypeAlias = SubmitTasks | AwaitTasks | ManagerRequest


class RequestCaller(Protocol):
    """One that asks: a client or a worker.

    Args:
        settle: sends it the outcome of a task.
        awaiting: the tasks whose results it wants, and that are not settled.
        replies: its latest requests by number, with the replies.
    """

    @property
    def settle(self) -> Settle: ...  # noqa: D102

    awaiting: set[TaskId]
    replies: OrderedDict[int, ManagerReply]


class RequestAnswers:
    """Answers the requests of one manager's callers.

    Args:
        driver: drives the board.
        awaited: adds tasks, and tells their results.
        handover: knows the managers that share the store.
    """

    def __init__(self, driver: BoardDriver, awaited: AwaitedResults, handover: Handover) -> None:
        self._driver = driver
        self._handover = handover
        self._awaited = awaited
        self._subtasks = SubtaskSubmission(driver)
        self._methods: Mapping[str, Method] = {
            "answer": self._answer_question,
            "cancel": self._cancel,
            "find": self._find,
            "questions": self._questions,
            "diagram": self._diagram,
            "drain": self._drain,
            "hand_over": self._hand_over,
            "managers": self._managers,
            "pause": self._pause,
            "report": self._report,
            "resume": self._resume,
            "retry": self._retry,
            "schedules": self._schedules,
            "set_priority": self._set_priority,
            "skills": self._skills,
            "state": self._state,
            "status": self._status,
            "task_types": self._task_types,
            "why": self._why,
            "workers": self._workers,
        }

    def answer(
        self, caller: RequestCaller, request: Request, worker_address: str = ""
    ) -> ManagerReply:
        """Answer a request; one that is repeated gets the reply that it had before.

        Args:
            caller: who asks.
            request: the request.
            worker_address: the address of the worker that asks; "" for a client.
        """
        reply = caller.replies.get(request.number)
        if reply is None:
            reply = caller.replies[request.number] = self._answer(caller, request, worker_address)
            if len(caller.replies) > KEPT_REPLIES:
                caller.replies.popitem(last=False)
        elif not reply.error_kind:
            self._await_again(caller, request)
        return reply

    def _await_again(self, caller: RequestCaller, request: Request) -> None:
        """Send results once more: those that were sent may be lost with the connection."""
        match request:
            case SubmitTasks(wants_results=True):
                self._await(caller, [decode_task(packed).id for packed in request.tasks])
            case AwaitTasks():
                self._await(caller, request.task_ids)
            case _:
                pass

    def _answer(self, caller: RequestCaller, request: Request, worker_address: str) -> ManagerReply:
        try:
            match request:
                case SubmitTasks():
                    value: Payload = self._submit(caller, request, worker_address)
                case AwaitTasks():
                    value = self._await(caller, request.task_ids)
                case ManagerRequest() if request.method in self._methods:
                    value = self._methods[request.method](request.arguments)
                case ManagerRequest():
                    raise InvalidInput(f"{request.method} is not for those that ask this")
        except MusterError as fault:
            return refusal(request.number, fault)
        return ManagerReply(number=request.number, value=value)

    def _submit(self, caller: RequestCaller, request: SubmitTasks, worker_address: str) -> None:
        board = self._driver.board
        if board.has_ended and not board.is_suspended:
            raise RunEnded("the run has ended; no further tasks can be submitted")
        try:
            tasks = [decode_task(packed) for packed in request.tasks]
        except DecodeError as fault:
            raise InvalidTask(
                f"the manager can't read a task: {fault.detail}; a class of tasks must be imported "
                "by the manager too"
            ) from None
        if worker_address and request.asked_by is not None:
            self._subtasks.add(tasks, request.asked_by, worker_address)
        else:
            self._driver.add_tasks(tasks, request.tasks)
        if request.wants_results:
            self._await(caller, [task.id for task in tasks])

    def _await(self, caller: RequestCaller, task_ids: Iterable[TaskId]) -> list[Payload]:
        # One result is enough for a caller that wants it several times.
        wanted = [each for each in dict.fromkeys(task_ids) if each not in caller.awaiting]
        caller.awaiting.update(wanted)
        unknown = self._awaited.wait_for(wanted, caller.settle)
        caller.awaiting.difference_update(unknown)
        return [self._describe_unknown(task_id) for task_id in unknown]

    def _describe_unknown(self, task_id: TaskId) -> list[Payload]:
        """Why there is no result of a task, as its id and an error's class and text."""
        board = self._driver.board
        try:
            board.find(task_id)
        except ResultForgotten as fault:
            return [task_id, type(fault).__name__, str(fault)]
        except UnknownTask as fault:
            kept = board.retention.describe()
            return [task_id, type(fault).__name__, f"{fault}; {kept}" if kept else str(fault)]
        return [task_id, UnknownTask.__name__, f"there is no result of task {task_id!r}"]

    # ------------------------------------------------------------------ methods

    def _cancel(self, arguments: Mapping[str, Payload]) -> None:
        self._driver.cancel(task_id_in(arguments), str(arguments.get("reason", "by a client")))

    def _retry(self, arguments: Mapping[str, Payload]) -> list[Payload]:
        task_ids = None if arguments.get("task_ids") is None else _task_ids_in(arguments)
        reason = str(arguments.get("reason", "by a client"))
        return [*self._driver.retry(task_ids, reason)]

    def _set_priority(self, arguments: Mapping[str, Payload]) -> None:
        priority: object = arguments.get("priority")
        if type(priority) is not int:
            raise InvalidInput(f"priority is {show(priority)}; it must be an integer")
        self._driver.set_priority(task_id_in(arguments), priority)

    def _answer_question(self, arguments: Mapping[str, Payload]) -> None:
        number: object = arguments.get("question")
        if number is not None and type(number) is not int:
            raise InvalidInput(f"question is {show(number)}; it must be an integer, or None")
        by = str(arguments.get("by", "a client"))
        answer = cast("str", arguments.get("answer"))
        self._driver.answer(task_id_in(arguments), answer, by, number)

    def _questions(self, _: Mapping[str, Payload]) -> list[Payload]:
        return [each.to_payload() for each in self._driver.open_questions()]

    def _drain(self, arguments: Mapping[str, Payload]) -> int:
        name = _worker_name(arguments)
        leaves = arguments.get("leaves", True) is not False
        with _naming_workers():
            self._driver.drain(name, leaves=leaves)
        return len(self._driver.board.workers[name].running)

    def _pause(self, _: Mapping[str, Payload]) -> int:
        self._driver.pause()
        return sum(len(each.running) for each in self._driver.board.workers.values())

    def _hand_over(self, _: Mapping[str, Payload]) -> list[Payload]:
        return [each.to_payload() for each in self._handover.request()]

    def _managers(self, _: Mapping[str, Payload]) -> list[Payload]:
        return [each.to_payload() for each in self._handover.managers()]

    def _resume(self, arguments: Mapping[str, Payload]) -> None:
        if arguments.get("worker") is None:
            self._driver.end_pause()
            return
        with _naming_workers():
            self._driver.end_drain(_worker_name(arguments))

    def _why(self, arguments: Mapping[str, Payload]) -> list[str]:
        return list(self._driver.board.explain(task_id_in(arguments)).lines(with_traceback=True))

    def _find(self, arguments: Mapping[str, Payload]) -> TaskId:
        possible = _task_ids_in(arguments)
        if not possible:
            raise InvalidInput("task_ids is empty; it must have the possible ids of a task")
        board = self._driver.board
        return find_known_id(possible, board.tasks) or board.find(possible[0]).task_id

    def _skills(self, arguments: Mapping[str, Payload]) -> dict[str, Payload]:
        # Models of pydantic, which take long to import.
        from ..skills.policy_skills import some_skills  # noqa: PLC0415

        return some_skills(self._driver.board.queue.policy, str(arguments.get("after", "")))

    def _state(self, _: Mapping[str, Payload]) -> dict[str, Payload]:
        state = describe_manager(self._driver)
        counts: dict[str, int] = {status.value: count for status, count in state["counts"].items()}
        return {**state, "counts": counts}

    def _status(self, arguments: Mapping[str, Payload]) -> dict[str, int] | str:
        board = self._driver.board
        if "task_id" in arguments:
            return board.find(task_id_in(arguments)).status.value
        return {status.value: board.counts[status] for status in TaskStatus}

    def _schedules(self, _: Mapping[str, Payload]) -> list[dict[str, Payload]]:
        return [dict(each) for each in list_schedules(self._driver.board, wall_now())]

    def _report(self, _: Mapping[str, Payload]) -> str:
        board = self._bounded_board()
        name, at = self._driver.name, self._driver.now()
        # Few clients ask for it; it takes a while to load.
        from ..report.build import build_report  # noqa: PLC0415

        return build_report(board, name=name, now=at).model_dump_json()

    def _diagram(self, _: Mapping[str, Payload]) -> str:
        trace = trace_of(self._bounded_board(), self._driver.name)
        return write_sequence(tell_as_sequence(trace))

    def _bounded_board(self) -> Board:
        """The board, if it can be told as a whole while the run waits.

        Raises:
            InvalidInput: it has too many tasks.
        """
        count = len(self._driver.board.tasks)
        if count > MAX_TOLD_TASKS:
            raise InvalidInput(
                f"the run has {count:,} tasks, and the manager tells a report or a diagram of at "
                f"most {MAX_TOLD_TASKS:,}; use `muster report --store FILE`"
            )
        return self._driver.board

    def _task_types(self, _: Mapping[str, Payload]) -> list[dict[str, Payload]]:
        return self._driver.functions.list()

    def _workers(self, _: Mapping[str, Payload]) -> list[dict[str, Payload]]:
        return [
            {
                "name": worker.name,
                "connected": worker.alive,
                "draining": worker.drain is not None,
                "skill_level": worker.skill_level,
                "slots": worker.slots,
                "running": len(worker.running),
                "completed": worker.stats.completed_tasks,
                "succeeded": worker.stats.successful_tasks,
            }
            for worker in self._driver.board.workers.values()
        ]


def refusal(number: int, fault: MusterError) -> ManagerReply:
    """The reply to a request that can't be fulfilled."""
    return ManagerReply(number=number, error_kind=type(fault).__name__, error=str(fault))


def _worker_name(arguments: Mapping[str, Payload]) -> str:
    name: object = arguments.get("worker")
    if not isinstance(name, str):
        raise InvalidInput(f"worker is {show(name)}; it must be the name of a worker")
    return name


@contextmanager
def _naming_workers() -> Generator[None, None, None]:
    """Raise an unknown worker as an error that a client can make of its text."""
    try:
        yield
    except UnknownName as fault:
        raise InvalidInput(str(fault)) from None


def task_id_in(arguments: Mapping[str, Payload]) -> TaskId:
    """The argument `task_id` of a request.

    Raises:
        InvalidInput: it is no task's id.
    """
    return check_task_id(arguments.get("task_id"))


def _task_ids_in(arguments: Mapping[str, Payload]) -> tuple[TaskId, ...]:
    """The argument `task_ids` of a request.

    Raises:
        InvalidInput: it is no list of tasks' ids.
    """
    task_ids: object = arguments.get("task_ids")
    if not isinstance(task_ids, list | tuple):
        raise InvalidInput(f"task_ids is {show(task_ids)}; it must be a list of ids")
    given = cast("Sequence[Payload]", task_ids)
    return tuple(check_task_id(each) for each in given)
