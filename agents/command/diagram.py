"""`muster diagram`: draws a run as a Mermaid diagram."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...messages import InvalidInput
from ..diagram.flowchart import write_flowchart
from ..diagram.gantt import write_gantt
from ..diagram.sequence_of_run import DEFAULT_MAX_MESSAGES, tell_as_sequence
from ..diagram.sequence_writer import write_sequence
from ..kernel.trace import Trace
from ..runtime.private_file import write_private
from ..store.places import StorePlace
from .diagram_form import DiagramForm
from .output import write_lines
from .trace_sources import (
    is_scenario,
    refuse_arguments,
    trace_from_file,
    trace_from_scenario,
    trace_from_store,
)


def find_trace(
    source: str,
    arguments: Sequence[str],
    store: StorePlace | None,
    *,
    real: bool,
    time_scale: float,
) -> Trace:
    """Get the trace of the run to draw.

    Raises:
        InvalidInput: neither or both of source and store are given, or the given one is invalid.
    """
    if bool(source) is (store is not None):
        raise InvalidInput("give exactly one of a scenario, a trace file and --store")
    if store is not None:
        return trace_from_store(store)
    if is_scenario(source):
        return trace_from_scenario(source, arguments, real=real, time_scale=time_scale)
    refuse_arguments(arguments)
    return trace_from_file(Path(source))


def draw(trace: Trace, form: DiagramForm, max_items: int | None = None) -> str:
    """Draw a run.

    Args:
        trace: the trace of the run.
        form: the kind of diagram.
        max_items: how many messages, bars or tasks to draw, by default 60; the rest is summarized.
    """
    max_items = DEFAULT_MAX_MESSAGES if max_items is None else max_items
    match form:
        case DiagramForm.SEQUENCE:
            return write_sequence(tell_as_sequence(trace, max_items))
        case DiagramForm.GANTT:
            return write_gantt(trace, max_items)
        case DiagramForm.FLOWCHART:
            return write_flowchart(trace, max_items)


def output_diagram(drawn: str, file: Path | None) -> None:
    """Print a diagram, or write it to a file; a Markdown file gets a Mermaid code block.

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
        raise InvalidInput(f"can't write the diagram to {str(file)!r}: {fault.strerror}") from None
