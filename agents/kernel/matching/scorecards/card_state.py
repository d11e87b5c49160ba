"""Copies cards to the sections of a skills file as plain values, and back."""

from __future__ import annotations

from math import log, sqrt
from typing import TYPE_CHECKING

from .....messages import InvalidInput, Payload
from .additive_belief import AdditiveCell, SharedBelief
from .breaker import Breaker
from .pace_model import new_pace
from .sharpness import Sharpness
from .skill_model import GENERAL_DEVIATION, new_skill
from .type_commons import CommonEase, TypeCommons
from .worker_card import NotedResults, TypeCard, WorkerCard

if TYPE_CHECKING:
    from collections.abc import Callable

    from .scorecard_file import Evidence6, SharedSection, TypeSection, WorkerSection

_DIGITS = 4
_PACE_RESULTS = 10
_FIRST_UPDATES = [0, 1]


def save_shared(sharpness: Sharpness, common_ease: CommonEase) -> dict[str, Payload]:
    """The section of what is common to all workers, as plain values."""
    section: dict[str, Payload] = {
        "noise": round(sharpness.noise, _DIGITS),
        "log_weights": list(sharpness.log_weights),
        "weights": list(sharpness.published),
    }
    if common_ease.mean:
        section["ease"] = common_ease.mean
    updates = [common_ease.updates, common_ease.due]
    if updates != _FIRST_UPDATES:
        section["updates"] = updates
    return section


def load_shared(section: SharedSection, sharpness: Sharpness, common_ease: CommonEase) -> None:
    """Set what is common to all workers."""
    sharpness.restore(section.log_weights, section.weights)
    common_ease.mean = section.ease
    common_ease.updates, common_ease.due = section.updates


def save_worker(card: WorkerCard) -> dict[str, Payload]:
    """The section of a worker, as plain values without those that are as by default."""
    mean, variance = card.general.without("")
    section: dict[str, Payload] = {
        "skill": round(mean, _DIGITS),
        "deviation": _round_deviation(variance),
        "prior": card.general.mean,
    }
    if card.shift:
        section["shift"] = card.shift
    detector = card.detector
    if detector.results:
        section["change"] = [detector.fall, detector.rise, detector.results]
    types = {name: _save_type(each) for name, each in card.types.items() if _says_more(each)}
    if types:
        section["types"] = types
    skills = {name: _save_type(each) for name, each in card.named.items() if _says_more(each)}
    if skills:
        section["skills"] = skills
    return section


def load_worker(
    section: WorkerSection,
    name: str,
    commons_of: Callable[[str], TypeCommons],
    ease_of: Callable[[str], SharedBelief],
) -> WorkerCard:
    """The card of a worker.

    Args:
        section: its section.
        name: its name.
        commons_of: what all workers have in common for a type.
        ease_of: the ease of a named skill.

    Raises:
        InvalidInput: it has a general skill, but no prior.
    """
    card = WorkerCard()
    if section.prior is not None:
        card.general.move_prior(section.prior)
    elif section.skill is not None:
        raise InvalidInput(
            f"workers.{name}.skill: {section.skill:g} has no prior, so it was not exported; "
            "write skills of your own under types or skills"
        )
    card.shift = section.shift
    detector = card.detector
    detector.fall, detector.rise, detector.results = section.change
    for type_name, each in section.types.items():
        commons = commons_of(type_name)
        skill = new_skill(card.general, commons.ease, name, type_name, each.special or 0.0)
        pace = new_pace(card.pace, commons.pace, name, type_name)
        commons.results += each.results
        card.types[type_name] = _load_type(each, TypeCard(skill, pace))
    for skill_name, each in section.skills.items():
        level = SharedBelief(each.prior or 0.0, GENERAL_DEVIATION)
        skill = new_skill(level, ease_of(skill_name), name, skill_name, 0.0)
        card.named[skill_name] = _load_type(each, TypeCard(skill, None))
    return card


def _round_deviation(variance: float) -> float:
    return max(round(sqrt(variance), _DIGITS), 10.0**-_DIGITS)


def _says_more(card: TypeCard) -> bool:
    breaker = card.breaker
    return bool(card.results or card.costs or card.noted.weight or card.skill.precision) or bool(
        breaker.failures or breaker.strikes or (card.pace is not None and card.pace.precision)
    )


def _save_type(card: TypeCard) -> dict[str, Payload]:
    mean, variance = card.skill.belief()
    noted, pace = card.noted, card.pace
    section: dict[str, Payload] = {
        "skill": round(mean, _DIGITS),
        "deviation": _round_deviation(variance),
        "evidence": _save_cell(card.skill),
        "broken": card.broken,
    }
    if card.results:
        section["results"] = card.results
    if card.successes:
        section["successes"] = card.successes
    if pace is None:
        section["prior"] = card.skill.worker.mean
    else:
        section["expected_s"] = float(f"{card.expected_s():.4g}")
        section["pace_evidence"] = _save_cell(pace)
        section["special"] = card.skill.special
    if noted.weight or noted.paces or noted.costs:
        section["noted"] = _save_noted(noted)
    if card.costs or card.cost_sum:
        section["costs"] = [card.costs, card.cost_sum]
    breaker = _save_breaker(card.breaker)
    if breaker:
        section["breaker"] = breaker
    return section


def _save_noted(noted: NotedResults) -> dict[str, Payload]:
    section: dict[str, Payload] = {"weight": noted.weight}
    if noted.outcomes:
        section["outcomes"] = [
            [float(difficulty), *each] for difficulty, each in noted.outcomes.items()
        ]
    if noted.paces:
        section["paces"] = [noted.paces, noted.pace_sum]
    if noted.costs:
        section["costs"] = [noted.costs, noted.cost_sum]
    return section


def _save_breaker(breaker: Breaker) -> dict[str, Payload]:
    section: dict[str, Payload] = {}
    if breaker.failures:
        section["failures"] = {kind: list(each) for kind, each in breaker.failures.items()}
    if breaker.strikes:
        section["strikes"] = dict(breaker.strikes)
    if breaker.reason:
        section["reason"] = breaker.reason
    if breaker.opened_at:
        section["opened_at"] = float(breaker.opened_at)
    if breaker.pause_s:
        section["pause_s"] = breaker.pause_s
    if breaker.successes:
        section["successes"] = breaker.successes
    return section


def _load_type(section: TypeSection, card: TypeCard) -> TypeCard:
    card.results = section.results
    card.successes = section.successes
    if section.broken is not None:
        card.broken = section.broken
    noted = card.noted
    noted.outcomes = {difficulty: (n, total) for difficulty, n, total in section.noted.outcomes}
    noted.weight = section.noted.weight
    noted.paces, noted.pace_sum = section.noted.paces
    noted.costs, noted.cost_sum = section.noted.costs
    card.costs, card.cost_sum = section.costs
    breaker, saved = card.breaker, section.breaker
    breaker.failures = dict(saved.failures)
    breaker.strikes = dict(saved.strikes)
    breaker.reason = saved.reason
    breaker.opened_at = saved.opened_at
    breaker.pause_s = saved.pause_s
    breaker.successes = saved.successes
    if section.evidence is None:
        precision = 1.0 / (section.deviation * section.deviation)
        card.skill.gain(precision, precision * section.skill, 1.0)
        card.skill.tell_worker()
    else:
        _load_cell(section.evidence, card.skill)
    if card.pace is not None:
        if section.pace_evidence is not None:
            _load_cell(section.pace_evidence, card.pace)
        elif section.expected_s:
            card.pace.gain(_PACE_RESULTS, _PACE_RESULTS * log(section.expected_s), 1.0)
            card.pace.tell_worker()
    return card


def _save_cell(cell: AdditiveCell) -> list[float]:
    worker, type_ = cell.type_name, cell.worker_name
    return [
        cell.precision,
        cell.weight,
        cell.worker.precisions.get(worker, 0.0),
        cell.worker.weights.get(worker, 0.0),
        cell.type.precisions.get(type_, 0.0),
        cell.type.weights.get(type_, 0.0),
    ]


def _load_cell(evidence: Evidence6, cell: AdditiveCell) -> None:
    cell.precision, cell.weight = evidence[0], evidence[1]
    cell.version += 1
    if evidence[2]:
        cell.worker.set_message(cell.type_name, evidence[2], evidence[3])
    if evidence[4]:
        cell.type.set_message(cell.worker_name, evidence[4], evidence[5])
