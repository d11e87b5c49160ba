"""The options of `muster skills show`, `export`, `import` and `reset`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console.logging_setup import configure_logging
from ..output import write_json, write_json_text, write_line
from .connecting import ask, asks_manager_or_reads, check_one_place
from .shared import Verbose

if TYPE_CHECKING:
    from ...client.client import Client
    from ...kernel.matching.scorecards.scorecard_file import SkillsFile

# Each command imports its own modules when it runs, so that a worker starts quickly.
# ruff: noqa: PLC0415
# Each option of a command is a parameter; Typer passes them by name.
# ruff: noqa: PLR0917


skills = typer.Typer(
    no_args_is_help=True, help="Show, export, import and forget what workers have shown."
)

_Store = Annotated[str | None, typer.Option(metavar="STORE", help="The store of a run.")]
_File = Annotated[Path | None, typer.Option(metavar="FILE.json", help="A skills file.")]
_Join = Annotated[
    str | None,
    typer.Option(metavar="TICKET", help="Ask the running manager with this ticket, or its file."),
]
# Declared so that whoever tries it is told what to do instead.
_RefusedJoin = Annotated[str | None, typer.Option("--join", metavar="TICKET", hidden=True)]


@skills.command("show")
@asks_manager_or_reads("store", "file")
def show_skills(
    client: Client | None,
    store: _Store = None,
    file: _File = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what workers have shown, as a table of workers and types of task."""
    from ...skills.table import make_table, table_lines

    table = make_table(_read(client, store, file))
    if as_json:
        write_json(table)
        return
    for line in table_lines(table):
        write_line(line)


@skills.command("export")
@asks_manager_or_reads("store", "file")
def export_skills(
    client: Client | None,
    store: _Store = None,
    file: _File = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "--out", metavar="FILE.json", help="Write to this file [default: stdout]."
        ),
    ] = None,
) -> None:
    """Export what workers have shown as a skills file."""
    from ...skills.policy_skills import content_of
    from ...skills.skills_file import skills_text, write_skills

    content = content_of(_read(client, store, file))
    if output is None:
        write_json_text(skills_text(content).rstrip())
    else:
        write_skills(output, content)


def _read(client: Client | None, store: str | None, file: Path | None) -> SkillsFile:
    from ...kernel.matching.scorecards.scorecard_file import read_skills_file
    from ..skills import read_place

    if client is None:
        return read_place(store, file)
    return read_skills_file(ask(client, lambda manager: manager.skills()))


@skills.command("import")
def import_skills(
    source: Annotated[Path, typer.Argument(metavar="FILE.json", help="The skills file to import.")],
    store: _Store = None,
    file: _File = None,
    join: _RefusedJoin = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Forget first what is known, instead of merging.")
    ] = False,
    verbose: Verbose = 0,
) -> None:
    """Import a skills file into a store or another skills file.

    For each worker and type, the one with more results counts.
    """
    from ...kernel.matching.scorecards.scorecard_file import read_skills_file
    from ...skills.editing import merge_skills
    from ...skills.skills_file import read_skills
    from ..skills import edit_place

    configure_logging(verbose)
    added = read_skills_file(read_skills(source))
    check_one_place(join, store=store, file=file)
    known = edit_place(store, file, lambda known: added if replace else merge_skills(known, added))
    write_line(f"skills of {len(known.workers):,} workers are known")


@skills.command("reset")
def reset_skills(
    store: _Store = None,
    file: _File = None,
    join: _RefusedJoin = None,
    worker: Annotated[
        str | None, typer.Option(metavar="NAME", help="Forget this worker's skills only.")
    ] = None,
    task_type: Annotated[
        str | None,
        typer.Option("--type", metavar="TYPE", help="Forget this type, or named skill, only."),
    ] = None,
    verbose: Verbose = 0,
) -> None:
    """Forget what workers have shown."""
    from ...skills.editing import forget_skills
    from ..skills import edit_place, read_place

    configure_logging(verbose)
    if check_one_place(join, store=store, file=file) is None:
        # There must be something; an edit would create it.
        read_place(store, file)
    known = edit_place(store, file, lambda known: forget_skills(known, worker, task_type))
    write_line(f"skills of {len(known.workers):,} workers are known")
