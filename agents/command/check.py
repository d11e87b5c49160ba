"""`muster check`: checks the sequence diagrams of documents against runs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ...messages import InvalidDiagram, InvalidInput
from ...scenarios.scenario import Scenario
from ..diagram.checking import check_diagram
from ..diagram.documents import FoundDiagram, find_diagrams
from ..kernel.trace import Trace
from ..store.places import StorePlace, name_of_place
from .console.exit import EXIT_FAILED, EXIT_OK
from .scenario_finder import find_scenario
from .trace_sources import trace_from_file, trace_from_scenario, trace_from_store

MAX_FILE_BYTES = 10 * 1024 * 1024
_DOCUMENTS = (".md", ".mmd")


class ReferenceRun(NamedTuple):
    """A run that a diagram is checked against.

    Args:
        name: the run's name in the output.
        trace: the trace of the run.
        second_s: how long one second of the scenario took, in seconds; None if that is unknown.
    """

    name: str
    trace: Trace
    second_s: float | None = None


@dataclass
class ReferenceRuns:
    """The runs that diagrams are checked against; each scenario runs once.

    Args:
        scenario: the scenario, with its arguments, of diagrams that name no run.
        trace: a trace file for diagrams that name no run.
        store: a store for diagrams that name no run.
        real: whether to run scenarios over real Ceylon.
        time_scale: how long one second of a scenario takes over real Ceylon, in seconds.
    """

    scenario: tuple[str, ...] = ()
    trace: Path | None = None
    store: StorePlace | None = None
    real: bool = False
    time_scale: float = 1.0
    _played: dict[tuple[str, ...], Trace] = field(default_factory=dict[tuple[str, ...], Trace])

    def run_of(self, found: FoundDiagram) -> ReferenceRun | None:
        """The run that a diagram is checked against; None if it is unknown."""
        named = found.run or self.scenario
        if named:
            if named not in self._played:
                self._played[named] = trace_from_scenario(
                    named[0], named[1:], real=self.real, time_scale=self.time_scale
                )
            # Durations are exact only in virtual time.
            is_rehearsed = not self.real and not find_scenario(named[0]).needs_the_real_network()
            second_s = self.time_scale if is_rehearsed else None
            return ReferenceRun(" ".join(named), self._played[named], second_s)
        if self.trace is not None:
            return ReferenceRun(str(self.trace), trace_from_file(self.trace))
        if self.store is not None:
            return ReferenceRun(name_of_place(self.store), trace_from_store(self.store))
        return None


def check_all(targets: list[str], runs: ReferenceRuns, write: Callable[[str], None]) -> int:
    """Check documents and scenarios.

    Args:
        targets: .md and .mmd files, and scenarios, whose module docstrings are checked.
        runs: the runs that they are checked against.
        write: called with each line of the result.

    Returns:
        The exit code.

    Raises:
        InvalidInput: a document can't be read, or has no sequence diagram.
        InvalidDiagram: a diagram can't be parsed, or its run is unknown.
    """
    given = [bool(runs.scenario), runs.trace is not None, runs.store is not None]
    if sum(given) > 1:
        raise InvalidInput("give one of --scenario, --trace and --store")
    code = EXIT_OK
    for target in targets:
        for line, holds in _check(target, runs):
            write(line)
            code = code if holds else EXIT_FAILED
    return code


def _check(target: str, runs: ReferenceRuns) -> Iterator[tuple[str, bool]]:
    if Path(target).suffix.lower() in _DOCUMENTS:
        name, diagrams = target, _read_document(Path(target))
    else:
        name, diagrams = _read_scenario(find_scenario(target))
        runs = runs if any((runs.scenario, runs.trace, runs.store)) else _of(target, runs)
    if not diagrams:
        raise InvalidInput(f"{target!r} contains no sequence diagram")
    for found in diagrams:
        line = found.diagram.line
        if found.exempt:
            yield f"{name}:{line}: not checked: {found.exempt}", True
            continue
        run = runs.run_of(found)
        if run is None:
            raise InvalidDiagram(
                line,
                "the document does not say which run this diagram shows; put "
                "<!-- check: SCENARIO --> before it, or give --scenario, --trace or --store",
                name,
            )
        try:
            verdict = check_diagram(found.diagram, run.trace, run.second_s)
        except InvalidDiagram as fault:
            raise InvalidDiagram(fault.line, fault.problem, name) from None
        if verdict.mismatch is None:
            yield f"{name}:{line}: holds for {run.name}, {verdict.messages} messages", True
        else:
            yield f"{name}:{verdict.mismatch.line}: {verdict.mismatch}; run: {run.name}", False


def _of(scenario: str, runs: ReferenceRuns) -> ReferenceRuns:
    return ReferenceRuns((scenario,), real=runs.real, time_scale=runs.time_scale)


def _read_document(path: Path) -> list[FoundDiagram]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise InvalidInput(
                f"{str(path)!r} has more than {MAX_FILE_BYTES:,} bytes, the limit for a document"
            )
        text = content.decode("utf-8")
    except OSError as fault:
        raise InvalidInput(f"{str(path)!r} can't be read: {fault.strerror}") from None
    except UnicodeDecodeError as fault:
        where = f"{fault.reason} at byte {fault.start}"
        raise InvalidInput(f"{str(path)!r} is not UTF-8 text: {where}") from None
    return find_diagrams(text, str(path))


def _read_scenario(scenario: type[Scenario]) -> tuple[str, list[FoundDiagram]]:
    module = importlib.import_module(scenario.__module__)
    # The docstring is at the start of the file, so its line numbers are those of the file.
    path = Path(module.__file__ or scenario.name())
    name = str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
    return name, find_diagrams(module.__doc__ or "", name)
