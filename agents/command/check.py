"""`muster check`: holds the sequence diagrams of documents against runs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ...messages import InvalidDiagram, InvalidInput
from ...scenarios.scenario import Scenario
from ..diagram import Found, check_diagram, find_diagrams
from ..kernel.trace import Trace
from .console.exit import EXIT_FAILED, EXIT_OK
from .scenario_finder import find_scenario
from .trace_sources import trace_from_file, trace_from_scenario, trace_from_store

MAX_FILE_BYTES = 10 * 1024 * 1024
_DOCUMENTS = (".md", ".mmd")


class Run(NamedTuple):
    """A run that a diagram is held against.

    Args:
        told: what it is called.
        trace: what happened in it.
        second_s: how long a second of its story lasted, in seconds; None if that is not certain.
    """

    told: str
    trace: Trace
    second_s: float | None = None


@dataclass
class Runs:
    """The runs that diagrams are held against; each scenario is played once.

    Args:
        scenario: what diagrams show that do not say which run they show.
        trace: a trace that such diagrams are held against.
        store: a store that such diagrams are held against.
        real: whether scenarios are played over real Ceylon.
        time_scale: how long a second of a story lasts then, in seconds.
    """

    scenario: tuple[str, ...] = ()
    trace: Path | None = None
    store: Path | None = None
    real: bool = False
    time_scale: float = 1.0
    _played: dict[tuple[str, ...], Trace] = field(default_factory=dict[tuple[str, ...], Trace])

    def run_of(self, found: Found) -> Run | None:
        """What a diagram is held against; None if that is unknown."""
        named = found.run or self.scenario
        if named:
            if named not in self._played:
                self._played[named] = trace_from_scenario(
                    named[0], named[1:], real=self.real, time_scale=self.time_scale
                )
            # A machine may be slow, but not in virtual time.
            is_rehearsed = not self.real and not find_scenario(named[0]).needs_the_real_network()
            second_s = self.time_scale if is_rehearsed else None
            return Run(" ".join(named), self._played[named], second_s)
        if self.trace is not None:
            return Run(str(self.trace), trace_from_file(self.trace))
        if self.store is not None:
            return Run(str(self.store), trace_from_store(self.store))
        return None


def check_all(targets: list[str], runs: Runs, told: Callable[[str], None]) -> int:
    """Check documents and scenarios.

    Args:
        targets: files that end in .md or .mmd, and scenarios, whose docstrings are checked.
        runs: what they are held against.
        told: called with each line of what came of it.

    Returns:
        The exit code.

    Raises:
        InvalidInput: a document can't be read, has no diagram, or does not say what one shows.
        InvalidDiagram: a diagram can't be read.
    """
    given = [bool(runs.scenario), runs.trace is not None, runs.store is not None]
    if sum(given) > 1:
        raise InvalidInput("give one of --scenario, --trace and --store")
    code = EXIT_OK
    for target in targets:
        for line, holds in _check(target, runs):
            told(line)
            code = code if holds else EXIT_FAILED
    return code


def _check(target: str, runs: Runs) -> Iterator[tuple[str, bool]]:
    if Path(target).suffix.lower() in _DOCUMENTS:
        name, diagrams = target, _read_document(Path(target))
    else:
        name, diagrams = _read_scenario(find_scenario(target))
        runs = runs if any((runs.scenario, runs.trace, runs.store)) else _of(target, runs)
    if not diagrams:
        raise InvalidInput(f"{target!r} holds no sequence diagram")
    for found in diagrams:
        line = found.diagram.line
        if found.exempt:
            yield f"{name}:{line}: not checked: {found.exempt}", True
            continue
        held_against = runs.run_of(found)
        if held_against is None:
            raise InvalidDiagram(
                line,
                "the document does not say which run this diagram shows; put "
                "<!-- check: SCENARIO --> before it, or give --scenario, --trace or --store",
                name,
            )
        told = held_against.told
        try:
            verdict = check_diagram(found.diagram, held_against.trace, held_against.second_s)
        except InvalidDiagram as fault:
            raise InvalidDiagram(fault.line, fault.problem, name) from None
        if verdict.mismatch is None:
            yield f"{name}:{line}: holds for {told}, {verdict.messages} messages", True
        else:
            yield f"{name}:{verdict.mismatch.line}: {verdict.mismatch}; run: {told}", False


def _of(scenario: str, runs: Runs) -> Runs:
    return Runs((scenario,), real=runs.real, time_scale=runs.time_scale)


def _read_document(path: Path) -> list[Found]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise InvalidInput(f"{str(path)!r} has more than {MAX_FILE_BYTES:,} bytes")
        text = content.decode("utf-8")
    except OSError as fault:
        raise InvalidInput(f"{str(path)!r} can't be read: {fault.strerror}") from None
    except UnicodeDecodeError as fault:
        where = f"{fault.reason} at byte {fault.start}"
        raise InvalidInput(f"{str(path)!r} is not UTF-8 text: {where}") from None
    return find_diagrams(text, str(path))


def _read_scenario(scenario: type[Scenario]) -> tuple[str, list[Found]]:
    module = importlib.import_module(scenario.__module__)
    # The docstring of a file stands at its beginning, so that its lines are the file's.
    path = Path(module.__file__ or scenario.name())
    name = str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
    return name, find_diagrams(module.__doc__ or "", name)
