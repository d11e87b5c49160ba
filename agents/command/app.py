"""The command `muster`: registers every subcommand."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator, Sequence
from typing import Annotated, Any, NoReturn, cast

import typer
from typer.core import TyperGroup
from typing_extensions import override

from ..runtime.terminal_text import terminal_line
from .ceylon_need import leave_ceylon_out_if_unused
from .console.credentials import hide_tickets
from .console.exit import (
    exit_code_of,
    exit_process,
    open_missing_streams,
    replace_unencodable_characters,
)
from .console.reserved_stdout import keep_stdout_reserved
from .options import client as client_commands
from .options import inspection as inspection_commands
from .options import machine as machine_commands
from .options import manager as manager_command
from .options import mcp as mcp_command
from .options import pause as pause_commands
from .options import questions as questions_command
from .options import scenarios as scenario_commands
from .options import schedules as schedules_command
from .options import skills as skills_commands
from .options import superagi as superagi_commands
from .options import worker as worker_command
from .options.servers import add_nats_options
from .web_page import add_default_web_port

# Of its usage errors, Typer exports only this one. All of them have the same base class.
_UsageError = cast("type[Exception]", typer.BadParameter.__bases__[0])


class _Commands(TyperGroup):
    """The commands; escapes what their usage errors quote from the command line."""

    @override
    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with _escaped_usage_errors():
            return super().make_context(*arguments, **options)

    @override
    def invoke(self, ctx: Any) -> Any:
        with _escaped_usage_errors():
            return super().invoke(ctx)


@contextlib.contextmanager
def _escaped_usage_errors() -> Generator[None, None, None]:
    try:
        yield
    except _UsageError as fault:
        message, context = vars(fault)["message"], vars(fault).get("ctx")
        # Without arguments, the message is the help.
        if context is None or message != context.get_help():
            vars(fault)["message"] = terminal_line(str(message))
        raise


application = typer.Typer(
    cls=_Commands,
    help="Muster assigns tasks to suitable workers and tracks every task until it is settled.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - few ask for it

        typer.echo(f"muster {version('ceylon-muster')}")
        raise typer.Exit


@application.callback()
def muster(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    """Accept the options that come before a command."""
    del show_version


# In the order of `muster --help`.
application.command()(scenario_commands.run)
application.command()(scenario_commands.scenarios)
application.command()(scenario_commands.simulate)
application.command("play-worker", hidden=True)(scenario_commands.play_one_worker)
application.command()(manager_command.manager)
application.command()(worker_command.worker)
application.command()(client_commands.submit)
application.command()(client_commands.cancel)
application.command()(client_commands.retry)
application.command()(questions_command.results)
application.command()(questions_command.questions)
application.command()(questions_command.answer)
application.command()(mcp_command.mcp)
application.command()(pause_commands.pause)
application.command()(pause_commands.resume)
application.command()(pause_commands.drain)
application.command()(pause_commands.handover)
application.command()(inspection_commands.why)
application.command()(schedules_command.schedules)
application.command()(machine_commands.doctor)
application.command("bench")(machine_commands.run_bench)
application.command()(machine_commands.secret)
application.command()(inspection_commands.status)
application.command("report")(inspection_commands.report_run)
application.command()(inspection_commands.replay)
application.command()(inspection_commands.diagram)
application.command("check")(inspection_commands.check_diagrams)
application.add_typer(skills_commands.skills, name="skills")
application.add_typer(superagi_commands.superagi, name="superagi")
add_nats_options([*application.registered_commands, *skills_commands.skills.registered_commands])


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command `muster` and end the process with its exit code.

    Args:
        arguments: the arguments after `muster`; by default those of the command line.
    """
    open_missing_streams()
    replace_unencodable_characters()
    given = sys.argv[1:] if arguments is None else arguments
    hide_tickets(given)
    if arguments is None:
        # The process is this command's alone.
        leave_ceylon_out_if_unused(given)
    filled = add_default_web_port(given)
    code = exit_code_of(lambda: application(filled, prog_name="muster"))
    if arguments is None:
        keep_stdout_reserved()
    exit_process(code)
