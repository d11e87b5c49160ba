"""The skills that a matching policy has learned, as the content of a skills file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from ...messages import InvalidInput, Payload
from ..kernel.matching.policies import MatchingPolicy
from ..kernel.matching.scorecards.scorecard_file import (
    FORMAT,
    VERSION,
    SkillsFile,
    TypeSection,
    read_skills_file,
)
from ..kernel.matching.scorecards.scorecard_file import write_section as plain_values
from ..kernel.matching.scorecards.scorecards import SHARED_ROW, Scorecards

WORKERS_PER_ANSWER = 20
"""Of how many workers one answer tells at most, so that no answer takes long."""


@runtime_checkable
class PolicyWithScorecards(Protocol):
    """A policy that keeps what it has learned in scorecards."""

    @property
    def scorecards(self) -> Scorecards:
        """What it has learned."""
        ...


def find_scorecards(policy: MatchingPolicy, wanted_for: str) -> Scorecards:
    """The scorecards of a policy.

    Args:
        policy: the policy.
        wanted_for: what needs them, for the error message.

    Raises:
        InvalidInput: the policy has none.
    """
    if not isinstance(policy, PolicyWithScorecards):
        raise InvalidInput(
            f"{wanted_for} needs a policy that learns skills, and {policy.name!r} learns none; "
            "use policy='adaptive'"
        )
    return policy.scorecards


def load_skills(scorecards: Scorecards, content: Mapping[str, Payload], now: float) -> None:
    """Add the content of a skills file to scorecards; it replaces what they have on its workers.

    Args:
        scorecards: the scorecards of a run that has not begun.
        content: the content.
        now: the run's time in seconds.

    Raises:
        InvalidInput: the content is not valid; the message names the place and the value. The
            scorecards are unchanged.
    """
    skills = read_skills_file(content)
    if skills.shared is not None:
        scorecards.load_row(SHARED_ROW, plain_values(skills.shared))
    for name, worker in skills.workers.items():
        present = {type_: _not_later(section, now) for type_, section in worker.types.items()}
        section = worker.model_copy(update={"types": present})
        scorecards.load_row(name, plain_values(section))


def _not_later(section: TypeSection, now: float) -> TypeSection:
    """A section whose breaker opened at the latest now, if another clock wrote the file."""
    breaker = section.breaker
    if breaker.opened_at <= now:
        return section
    opened = breaker.model_copy(update={"opened_at": now})
    return section.model_copy(update={"breaker": opened})


def content_of(skills: SkillsFile) -> dict[str, Payload]:
    """The content of a skills file as plain values."""
    return {"format": FORMAT, "version": VERSION, **plain_values(skills)}


def some_skills(policy: MatchingPolicy, after: str) -> dict[str, Payload]:
    """The content of a skills file with the next few workers in the order of names.

    Args:
        policy: what a manager has learned.
        after: the last worker that was told before; "" for the first ones.

    Returns:
        The keys are `content`, and `is_last`: whether no more workers follow.

    Raises:
        InvalidInput: the policy learns no skills.
    """
    scorecards = find_scorecards(policy, "muster skills")
    names = sorted(name for name in scorecards.workers if name > after)
    told = names[:WORKERS_PER_ANSWER]
    content = {
        "format": FORMAT,
        "version": VERSION,
        "shared": scorecards.worker_row(SHARED_ROW),
        "workers": {name: scorecards.worker_row(name) for name in told},
    }
    return {"content": content, "is_last": len(told) == len(names)}
