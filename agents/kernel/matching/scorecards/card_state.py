"""Copies cards to the sections of a skills file, and back."""

from __future__ import annotations

from math import log, sqrt
from typing import TYPE_CHECKING

from .additive_belief import AdditiveCell, SharedBelief
from .pace_model import expect_duration_s, new_pace
from .scorecard_file import BreakerSection, Evidence6, SharedSection, TypeSection, WorkerSection
from .sharpness import NOISES, Sharpness
from .skill_model import GENERAL_DEVIATION, new_skill
from .worker_card import TypeCard, TypeCommons, WorkerCard

if TYPE_CHECKING:
    from collections.abc import Callable

_DIGITS = 4
_PACE_RESULTS = 10


def save_sharpness(sharpness: Sharpness) -> SharedSection:
    """The section of what is common to all workers."""
    return SharedSection(
        noise=round(sharpness.noise, _DIGITS),
        log_weights=list(sharpness.log_weights),
        weights=[weight for _, weight in sharpness.used],
    )


def load_sharpness(section: SharedSection, sharpness: Sharpness) -> None:
    """Set what is common to all workers."""
    used = [(noise * noise, each) for noise, each in zip(NOISES, section.weights, strict=True)]
    sharpness.restore(section.log_weights, used, sharpness.version + 1)


def save_worker(card: WorkerCard) -> WorkerSection:
    """The section of a worker."""
    mean, variance = card.general.without("")
    return WorkerSection(
        skill=round(mean, _DIGITS),
        deviation=round(sqrt(variance), _DIGITS),
        prior=card.general.mean,
        shift=card.shift,
        change=(card.detector.fall, card.detector.rise),
        types={name: _save_type(each) for name, each in card.types.items() if _says_more(each)},
        skills={name: _save_type(each) for name, each in card.named.items() if _says_more(each)},
    )


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
    """
    card = WorkerCard()
    card.general.move_prior(section.prior)
    card.shift = section.shift
    card.detector.fall, card.detector.rise = section.change
    for type_name, each in section.types.items():
        commons = commons_of(type_name)
        skill = new_skill(card.general, commons.ease, name, type_name, each.special or 0.0)
        pace = new_pace(card.pace, commons.pace, name, type_name)
        card.types[type_name] = _load_type(each, TypeCard(skill, pace))
    for skill_name, each in section.skills.items():
        level = SharedBelief(each.prior or 0.0, GENERAL_DEVIATION)
        skill = new_skill(level, ease_of(skill_name), name, skill_name, 0.0)
        card.named[skill_name] = _load_type(each, TypeCard(skill, None))
    return card


def _says_more(card: TypeCard) -> bool:
    breaker = card.breaker
    return bool(card.results or card.costs or card.pending_pace or card.skill.precision) or bool(
        breaker.failures or breaker.strikes or (card.pace is not None and card.pace.precision)
    )


def _save_type(card: TypeCard) -> TypeSection:
    mean, variance = card.skill.belief()
    breaker = card.breaker
    pace = card.pace
    return TypeSection(
        skill=round(mean, _DIGITS),
        deviation=round(sqrt(variance), _DIGITS),
        results=card.results,
        successes=card.successes,
        expected_s=None if pace is None else float(f"{expect_duration_s(pace):.4g}"),
        evidence=_save_cell(card.skill),
        pace_evidence=None if pace is None else _save_cell(pace),
        special=card.skill.special if pace is not None else None,
        prior=card.skill.worker.mean if pace is None else None,
        change=(card.detector.fall, card.detector.rise),
        pending=[(difficulty, share, n) for (difficulty, share), n in card.pending.items()],
        pending_pace=(card.pending_pace, card.pending_pace_sum),
        costs=(card.costs, card.cost_sum),
        breaker=BreakerSection(
            failures=dict(breaker.failures),
            strikes=dict(breaker.strikes),
            reason=breaker.reason,
            opened_at=breaker.opened_at,
            pause_s=breaker.pause_s,
            successes=breaker.successes,
        ),
    )


def _load_type(section: TypeSection, card: TypeCard) -> TypeCard:
    card.results = section.results
    card.successes = section.successes
    card.detector.fall, card.detector.rise = section.change
    card.pending = {(difficulty, share): n for difficulty, share, n in section.pending}
    card.pending_count = sum(card.pending.values())
    card.pending_pace, card.pending_pace_sum = section.pending_pace
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
        card.skill.tell()
    else:
        _load_cell(section.evidence, card.skill)
    if card.pace is not None:
        if section.pace_evidence is not None:
            _load_cell(section.pace_evidence, card.pace)
        elif section.expected_s:
            card.pace.gain(_PACE_RESULTS, _PACE_RESULTS * log(section.expected_s), 1.0)
            card.pace.tell()
    return card


def _save_cell(cell: AdditiveCell) -> Evidence6:
    worker, type_ = cell.type_name, cell.worker_name
    return (
        cell.precision,
        cell.weight,
        cell.worker.precisions.get(worker, 0.0),
        cell.worker.weights.get(worker, 0.0),
        cell.type.precisions.get(type_, 0.0),
        cell.type.weights.get(type_, 0.0),
    )


def _load_cell(evidence: Evidence6, cell: AdditiveCell) -> None:
    cell.precision, cell.weight = evidence[0], evidence[1]
    if evidence[2]:
        cell.worker.tell(cell.type_name, evidence[2], evidence[3])
    if evidence[4]:
        cell.type.tell(cell.worker_name, evidence[4], evidence[5])
