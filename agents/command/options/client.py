"""The options of `muster submit`, `muster cancel` and `muster retry`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ....messages import IllegalTransition, InvalidInput, TaskId
from ..output import write_line
from .connecting import ask, asks_manager

if TYPE_CHECKING:
    from ...client.client import Client

# Each command imports its own modules when it runs, so that a worker starts quickly.
# ruff: noqa: PLC0415
# Each option of a command is a parameter; Typer passes them by name.
# ruff: noqa: PLR0917


@asks_manager
def submit(
    client: Client,
    tasks: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A .json, .jsonl or .csv file of tasks.")
    ] = None,
    task_type: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Submit one task of this type.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="JSON", help="With --type, the task's data.")
    ] = None,
    task_id: Annotated[
        str | None, typer.Option("--id", help="With --type, the task's id [default: a new one].")
    ] = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Print the ids of the tasks, and do not wait.")
    ] = False,
    stream: Annotated[
        bool, typer.Option("--stream", help="Print the parts of their outputs as they come, too.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each result as a line of JSON.")
    ] = False,
) -> None:
    """Submit tasks to a running manager, and print their results as they come.

    The exit code is 1 if a task has failed. Tasks go on when this command is interrupted.
    """
    from ..following import follow_tasks
    from ..submit import make_task, submit_tasks
    from ..tasks_file import read_tasks

    match tasks, task_type:
        case Path(), None if data is None and task_id is None:
            read = read_tasks(tasks)
        case None, str():
            read = [make_task(task_type, data, task_id)]
        case _:
            raise InvalidInput("give either a file of tasks, or --type with --data and --id")
    if stream and no_wait:
        raise InvalidInput("give either --stream or --no-wait")
    if stream:
        following = follow_tasks(client, read, with_parts=True, as_json=as_json)
        raise typer.Exit(asyncio.run(following))
    submitting = submit_tasks(client, read, waits=not no_wait, as_json=as_json)
    raise typer.Exit(asyncio.run(submitting))


@contextlib.contextmanager
def _leaving_out_stories() -> Generator[None]:
    """Tell in one line why a task can't be changed; `muster why` and the page tell its story."""
    try:
        yield
    except IllegalTransition as fault:
        raise IllegalTransition(str(fault).partition("; its story: ")[0]) from None


@asks_manager
def cancel(
    client: Client,
    task: Annotated[str, typer.Argument(help="The task's id.")],
    reason: Annotated[str, typer.Option(help="Why, for the report.")] = "by a client",
) -> None:
    """Cancel a task of a running manager; a worker that runs it is told to stop."""
    from ..why import possible_task_ids

    task_ids = possible_task_ids(task)

    async def cancel_first(manager: Client) -> TaskId:
        task_id = await manager.find(task_ids)
        with _leaving_out_stories():
            await manager.cancel(task_id, reason)
        return task_id

    write_line(f"task {ask(client, cancel_first)} is cancelled")


@asks_manager
def retry(
    client: Client,
    tasks: Annotated[
        list[str] | None, typer.Argument(metavar="[TASK]...", help="The ids of the tasks.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Try all failed tasks again.")] = False,
) -> None:
    """Try failed or cancelled tasks of a running manager again.

    They begin anew with all their attempts, and so do the tasks that were cancelled because they
    depend on them.
    """
    from ..why import possible_task_ids

    if failed is bool(tasks):
        raise InvalidInput("give the ids of tasks, or --failed for all that failed")
    possible = [possible_task_ids(each) for each in tasks or ()]

    async def retry_all(manager: Client) -> list[TaskId]:
        known = [await manager.find(task_ids) for task_ids in possible]
        with _leaving_out_stories():
            return await manager.retry(known or None, "by muster retry")

    retried = ask(client, retry_all)
    if not retried:
        write_line("no task has failed")
        return
    for task_id in retried:
        write_line(f"task {task_id} begins anew")
