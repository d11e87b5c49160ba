"""`muster diagram`: tells a run as a Mermaid diagram."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...messages import InvalidInput
from ..diagram import (
    DEFAULT_MAX_MESSAGES,
    tell_as_sequence,
    write_flowchart,
    write_gantt,
    write_sequence,
)
from ..kernel.trace import Trace
from ..runtime.private_file import write_private
from .diagram_form import Form
from .output import write_lines
from .trace_sources import (
    is_scenario,
    refuse_arguments,
    trace_from_file,
    trace_from_scenario,
    trace_from_store,
)


def find_trace(
    source: str, arguments: Sequence[str], store: Path | None, *, real: bool, time_scale: float
) -> Trace:
    """The run that is to be drawn.

    Raises:
        InvalidInput: neither or both of a source and a store are given, or one can't be used.
    """
    if bool(source) is (store is not None):
        raise InvalidInput("give a scenario or the file of a trace, or else --store")
    if store is not None:
        return trace_from_store(store)
    if is_scenario(source):
        return trace_from_scenario(source, arguments, real=real, time_scale=time_scale)
    refuse_arguments(arguments)
    return trace_from_file(Path(source))


def draw(trace: Trace, form: Form, most: int | None = None) -> str:
    """Draw a run.

    Args:
        trace: the run.
        form: as what.
        most: how many messages, bars or tasks are drawn, by default 60; the others are summed up.
    """
    most = DEFAULT_MAX_MESSAGES if most is None else most
    match form:
        case Form.SEQUENCE:
            return write_sequence(tell_as_sequence(trace, most))
        case Form.GANTT:
            return write_gantt(trace, most)
        case Form.FLOWCHART:
            return write_flowchart(trace, most)


def output_diagram(drawn: str, file: Path | None) -> None:
    """Print a diagram, or write it to a file; in Markdown it stands in a block.

    Raises:
        InvalidInput: the file can't be written.
    """
    if file is None:
        write_lines(drawn.removesuffix("\n"))
        return
    text = f"```mermaid\n{drawn}```\n" if file.suffix.lower() == ".md" else drawn
    try:
        write_private(file, text.encode())
    except OSError as fault:
        raise InvalidInput(
            f"the diagram can't be written to {str(file)!r}: {fault.strerror}"
        ) from None
