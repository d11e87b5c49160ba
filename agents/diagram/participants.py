"""Matches the participants of a diagram with the manager and workers of a run."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...messages import WorkerProfile
from ..kernel.trace import Trace
from .run_messages import PROGRAM, Party, Role, RunMessage, plain_name
from .sequence_model import Note, Participant, SequenceDiagram, walk

_MANAGERS = frozenset({"tm", "taskmanager", "task manager", "task_manager", "manager"})
_PROGRAMS = frozenset({"program", "main", "user"})
_SKILL = re.compile(r"skill\s*=?\s*(\d+)", re.IGNORECASE)
_SLOTS = re.compile(r"(\d+) slots?", re.IGNORECASE)
_MORE_WORKERS = re.compile(r"… ([\d,]+) more workers?\b.*", re.DOTALL)
_MORE_MESSAGES = re.compile(r"… ([\d,]+) more messages?\b.*", re.DOTALL)


class ParticipantMismatch(Exception):
    """A diagram does not have the participants of the run.

    Args:
        line: the line that does not match.
        says: what the diagram says there.
        had: what the run had instead.
    """

    def __init__(self, line: int, says: str, had: str) -> None:
        super().__init__(says)
        self.line = line
        self.says = says
        self.had = had


def match_participants(
    diagram: SequenceDiagram, trace: Trace, run_messages: list[RunMessage]
) -> Mapping[str, Party]:
    """Match the participants of a diagram, by their ids, with the parties of a run.

    The manager is named TM, TaskManager or by its name in the run. A worker is named by the
    beginning of its label or by its id. The program that created the manager is named Program, Main
    or User.

    Raises:
        ParticipantMismatch: a participant is not in the run or differs from its description, or a
            worker of the run is missing.
    """
    outsiders = {
        plain_name(party.name): party
        for sent in run_messages
        for party in (sent.sender, sent.receiver)
        if party.role is Role.OUTSIDER
    }
    parties: dict[str, Party] = {}
    for participant in diagram.participants:
        party = _find(participant, trace, outsiders)
        if party is None:
            raise ParticipantMismatch(
                participant.line, f"{_shown(participant)} takes part", _describe_run(trace)
            )
        if party in parties.values():
            raise ParticipantMismatch(
                participant.line, f"{_shown(participant)} takes part twice", _describe_run(trace)
            )
        if party.role is Role.WORKER:
            _check_worker(participant, trace.workers[party.name])
        parties[participant.id] = party
    present = {sent.sender.name for sent in run_messages if sent.sender.role is Role.WORKER} | {
        sent.receiver.name for sent in run_messages if sent.receiver.role is Role.WORKER
    }
    present &= trace.workers.keys()
    missing = [name for name in trace.workers if name in present]
    missing = [name for name in missing if Party(Role.WORKER, name) not in parties.values()]
    if len(missing) != _left_out(diagram):
        found = f"no participant {missing[0]!r}" if missing else "more workers"
        raise ParticipantMismatch(diagram.line, f"there is {found}", _describe_run(trace))
    return parties


def hidden_messages(note: Note) -> int:
    """How many messages a note stands for in a shortened diagram; 0 for other notes."""
    found = _MORE_MESSAGES.fullmatch(note.text)
    return _count(found[1]) if found else 0


def _left_out(diagram: SequenceDiagram) -> int:
    """How many workers the diagram leaves out, according to its notes."""
    notes = (step for step in walk(diagram.steps) if isinstance(step, Note))
    found = (_MORE_WORKERS.fullmatch(note.text) for note in notes)
    return sum(_count(each[1]) for each in found if each)


def _count(digits: str) -> int:
    plain = digits.replace(",", "")
    return int(plain) if plain.isascii() and plain.isdecimal() and len(plain) < 10 else 0  # noqa: PLR2004


def _find(participant: Participant, trace: Trace, outsiders: Mapping[str, Party]) -> Party | None:
    # The label takes precedence over the id, and names of the run over generic names.
    for shown in (participant.label, _divide(participant.label)[0], participant.id):
        name = plain_name(shown)
        for worker in trace.workers:
            if plain_name(worker) == name:
                return Party(Role.WORKER, worker)
        if name in outsiders:
            return outsiders[name]
        if name == plain_name(trace.manager) or name.casefold() in _MANAGERS:
            return Party(Role.MANAGER, trace.manager)
        if name.casefold() in _PROGRAMS:
            return PROGRAM
    return None


def _check_worker(participant: Participant, worker: WorkerProfile) -> None:
    for part in _divide(participant.label)[1]:
        if skill := _SKILL.fullmatch(part):
            is_so = int(skill[1]) == worker.skill_level
        elif slots := _SLOTS.fullmatch(part):
            is_so = int(slots[1]) == worker.slots
        else:
            is_so = part in map(plain_name, worker.specialties)
        if not is_so:
            raise ParticipantMismatch(
                participant.line, f"{_shown(participant)} takes part", describe_worker(worker)
            )


def describe_worker(worker: WorkerProfile) -> str:
    """Describe a worker with its skill, such as "Ada (skill 6, vision, 2 slots)"."""
    parts = [f"skill {worker.skill_level}", *map(plain_name, worker.specialties)]
    if worker.slots > 1:
        parts.append(f"{worker.slots} slots")
    return f"{plain_name(worker.name)} ({', '.join(parts)})"


def _divide(label: str) -> tuple[str, list[str]]:
    """The part of a label before its final parentheses, and the parts inside them."""
    before, bracket, inside = label.strip().rpartition("(")
    if not bracket or not inside.endswith(")"):
        return label.strip(), []
    return before.strip(), [part.strip() for part in inside[:-1].split(",")]


def _shown(participant: Participant) -> str:
    return repr(" ".join(participant.label.split()))


def _describe_run(trace: Trace) -> str:
    workers = ", ".join(describe_worker(each) for each in trace.workers.values())
    return f"the manager {trace.manager!r} and the workers {workers or '(none)'}"
