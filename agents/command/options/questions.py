"""The options of `muster questions`, `muster answer` and `muster results`."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from ....messages import InvalidInput
from ..output import write_json_text, write_line
from .connecting import ask, asks_manager

if TYPE_CHECKING:
    from ...client.client import Client

# Each command imports its own modules when it runs, so that a worker starts quickly.
# ruff: noqa: PLC0415
# Each option of a command is a parameter; Typer passes them by name.


@asks_manager
def questions(
    client: Client,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what the tasks of a running manager ask people."""
    from ..questions import question_lines

    found = ask(client, lambda manager: manager.questions())
    if as_json:
        write_json_text(json.dumps([each.to_payload() for each in found], indent=2))
        return
    for line in question_lines(found):
        write_line(line)


@asks_manager
def answer(
    client: Client,
    task: Annotated[str, typer.Argument(help="The task's id.")],
    answer: Annotated[
        str, typer.Argument(help="One of the choices, or any text if there are none.")
    ],
    question: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", help="Which question, if the task asks several at once."),
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who answers [default: the user].")
    ] = None,
) -> None:
    """Answer what a task of a running manager asks; whoever is first decides."""
    from ..questions import user_name
    from ..why import possible_task_ids

    task_ids = possible_task_ids(task)
    who = by or f"{user_name()}, with muster answer"

    async def give(manager: Client) -> None:
        await manager.answer(await manager.find(task_ids), answer, by=who, question=question)

    ask(client, give)
    write_line(f"task {task} goes on with {answer!r}")


@asks_manager
def results(
    client: Client,
    tasks: Annotated[
        list[str] | None, typer.Argument(metavar="TASK...", help="The ids of the tasks.")
    ] = None,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            help="Print the parts of their outputs as they come, too; without tasks, the results "
            "of all that are settled from now on.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each part and result as a line of JSON.")
    ] = False,
) -> None:
    """Wait for tasks of a running manager, and print their results as they come.

    The exit code is 1 if a task has failed. `--follow` without tasks prints the result of every
    task that is settled from now on, until the run ends or you press Ctrl-C.
    """
    from ..following import follow_all, follow_tasks
    from ..why import possible_task_ids

    if not tasks and not follow:
        raise InvalidInput("name the tasks, such as `muster results 7`, or give --follow for all")
    if not tasks:
        raise typer.Exit(asyncio.run(follow_all(client, as_json=as_json)))
    possible = [possible_task_ids(each) for each in tasks]
    following = follow_tasks(client, possible, with_parts=follow, as_json=as_json)
    raise typer.Exit(asyncio.run(following))
