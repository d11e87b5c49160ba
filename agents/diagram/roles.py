"""Who the participants of a diagram are in a run, and whether what it says of them is so."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...messages import WorkerProfile
from ..kernel.trace import Trace
from .run_messages import PROGRAM, Party, Role, Said, plain_name
from .sequence_model import Note, Participant, SequenceDiagram, walk

_MANAGERS = frozenset({"tm", "taskmanager", "task manager", "task_manager", "manager"})
_PROGRAMS = frozenset({"program", "main", "user"})
_SKILL = re.compile(r"skill\s*=?\s*(\d+)", re.IGNORECASE)
_SLOTS = re.compile(r"(\d+) slots?", re.IGNORECASE)
_MORE_WORKERS = re.compile(r"… ([\d,]+) more workers?\b.*", re.DOTALL)
_MORE_MESSAGES = re.compile(r"… ([\d,]+) more messages?\b.*", re.DOTALL)


class Miscast(Exception):
    """A diagram does not have the run's participants.

    Args:
        line: the line that does not hold.
        says: what the diagram says there.
        had: what the run had.
    """

    def __init__(self, line: int, says: str, had: str) -> None:
        super().__init__(says)
        self.line = line
        self.says = says
        self.had = had


def cast_of(
    diagram: SequenceDiagram, trace: Trace, conversation: list[Said]
) -> Mapping[str, Party]:
    """Who the participants of a diagram are, by their ids.

    The manager is called TM, TaskManager or as in the run; a worker by its name, at the beginning
    of its label or as its id; whoever made the manager Program, Main or User.

    Raises:
        Miscast: one is not in the run, a worker of the run is missing, or one is not as described.
    """
    outsiders = {
        plain_name(party.name): party
        for said in conversation
        for party in (said.sender, said.receiver)
        if party.role is Role.OUTSIDER
    }
    cast: dict[str, Party] = {}
    for participant in diagram.participants:
        party = _find(participant, trace, outsiders)
        if party is None:
            raise Miscast(participant.line, f"{_shown(participant)} takes part", _who(trace))
        if party in cast.values():
            raise Miscast(participant.line, f"{_shown(participant)} takes part twice", _who(trace))
        if party.role is Role.WORKER:
            _check_worker(participant, trace.workers[party.name])
        cast[participant.id] = party
    present = {said.sender.name for said in conversation if said.sender.role is Role.WORKER} | {
        said.receiver.name for said in conversation if said.receiver.role is Role.WORKER
    }
    present &= trace.workers.keys()
    missing = [name for name in trace.workers if name in present]
    missing = [name for name in missing if Party(Role.WORKER, name) not in cast.values()]
    if len(missing) != _left_out(diagram):
        told = f"no participant {missing[0]!r}" if missing else "more workers"
        raise Miscast(diagram.line, f"there is {told}", _who(trace))
    return cast


def hidden_messages(note: Note) -> int:
    """How many messages a note stands for, as of a run that was folded; 0 for other notes."""
    found = _MORE_MESSAGES.fullmatch(note.text)
    return _count(found[1]) if found else 0


def _left_out(diagram: SequenceDiagram) -> int:
    """How many workers the diagram says that it leaves out."""
    notes = (step for step in walk(diagram.steps) if isinstance(step, Note))
    found = (_MORE_WORKERS.fullmatch(note.text) for note in notes)
    return sum(_count(each[1]) for each in found if each)


def _count(digits: str) -> int:
    plain = digits.replace(",", "")
    return int(plain) if plain.isascii() and plain.isdecimal() and len(plain) < 10 else 0  # noqa: PLR2004


def _find(participant: Participant, trace: Trace, outsiders: Mapping[str, Party]) -> Party | None:
    # What is shown comes before the id, and whoever really bears a name before who is called so.
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
    for told in _divide(participant.label)[1]:
        if skill := _SKILL.fullmatch(told):
            is_so = int(skill[1]) == worker.skill_level
        elif slots := _SLOTS.fullmatch(told):
            is_so = int(slots[1]) == worker.slots
        else:
            is_so = told in map(plain_name, worker.specialties)
        if not is_so:
            raise Miscast(
                participant.line, f"{_shown(participant)} takes part", describe_worker(worker)
            )


def describe_worker(worker: WorkerProfile) -> str:
    """A worker with its skill, as in "Ada (skill 6, vision, 2 slots)"."""
    parts = [f"skill {worker.skill_level}", *map(plain_name, worker.specialties)]
    if worker.slots > 1:
        parts.append(f"{worker.slots} slots")
    return f"{plain_name(worker.name)} ({', '.join(parts)})"


def _divide(label: str) -> tuple[str, list[str]]:
    """What stands before the brackets that end a label, and the parts of what is in them."""
    before, bracket, inside = label.strip().rpartition("(")
    if not bracket or not inside.endswith(")"):
        return label.strip(), []
    return before.strip(), [part.strip() for part in inside[:-1].split(",")]


def _shown(participant: Participant) -> str:
    return repr(" ".join(participant.label.split()))


def _who(trace: Trace) -> str:
    workers = ", ".join(describe_worker(each) for each in trace.workers.values())
    return f"the manager {trace.manager!r} and the workers {workers or '(none)'}"
