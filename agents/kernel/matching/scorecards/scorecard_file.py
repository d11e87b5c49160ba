"""The skills file: writes scorecards as readable JSON, and reads and checks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, ValidationError

from .....messages import InvalidInput, Payload
from .....messages.record import Record
from .....messages.wording import show, summarize
from .sharpness import NOISES

FORMAT = "muster-skills"
VERSION = 1

_ROUNDING = 1e-3


def _check_weights(weights: list[float]) -> list[float]:
    if abs(sum(weights) - 1.0) > _ROUNDING:
        raise ValueError(f"the weights must add up to 1, not {sum(weights):g}")
    return weights


def _check_outcomes(outcomes: tuple[float, int, float]) -> tuple[float, int, float]:
    if outcomes[2] > outcomes[1]:
        raise ValueError(f"{outcomes[2]:g} successes are more than {outcomes[1]} results")
    return outcomes


_Name = Annotated[str, Field(max_length=200)]
_Figure = Annotated[float, Field(allow_inf_nan=False, ge=-1e12, le=1e12, strict=True)]
_Positive = Annotated[float, Field(allow_inf_nan=False, ge=0, le=1e15, strict=True)]
_Share = Annotated[float, Field(ge=0, le=1, strict=True)]
_Skill = Annotated[float, Field(allow_inf_nan=False, ge=-1e4, le=1e4, strict=True)]
_LogOdds = Annotated[float, Field(allow_inf_nan=False, ge=-100, le=100, strict=True)]
_Count = Annotated[int, Field(ge=0, le=2**53, strict=True)]
_per_noise = Field(min_length=len(NOISES), max_length=len(NOISES))
_LogWeights = Annotated[list[_LogOdds], _per_noise]
_Weights = Annotated[list[_Share], _per_noise, AfterValidator(_check_weights)]
_Outcomes = Annotated[
    tuple[_Skill, Annotated[int, Field(ge=1, le=2**53, strict=True)], _Positive],
    AfterValidator(_check_outcomes),
]
_Precision = Annotated[float, Field(allow_inf_nan=False, ge=0, le=1e6, strict=True)]
_Weight = Annotated[float, Field(allow_inf_nan=False, ge=-1e8, le=1e8, strict=True)]
Evidence6: TypeAlias = tuple[_Precision, _Weight, _Precision, _Weight, _Precision, _Weight]
"""Precision and weight of a cell, of its message about the worker, and of that about the type."""


class _Section(Record):
    model_config = ConfigDict(extra="forbid")


class BreakerSection(_Section):
    """The state of a breaker; see `Breaker`."""

    failures: Annotated[dict[_Name, tuple[_Count, _Positive]], Field(max_length=8)] = Field(
        default_factory=dict
    )
    strikes: Annotated[dict[_Name, _Count], Field(max_length=8)] = Field(default_factory=dict)
    reason: Annotated[str, Field(max_length=300)] = ""
    opened_at: _Figure = 0.0
    pause_s: _Positive = 0.0
    successes: _Count = 0


class NotedSection(_Section):
    """Results that are counted but not yet taken into account; see `NotedResults`."""

    outcomes: Annotated[list[_Outcomes], Field(max_length=1_000)] = Field(default_factory=list)
    weight: _Count = 0
    paces: tuple[_Count, _Figure] = (0, 0.0)
    costs: tuple[_Count, _Positive] = (0, 0.0)


class TypeSection(_Section):
    """What is known of a worker for one type of task, or for one named skill.

    Args:
        skill: its skill, on the scale of difficulties.
        deviation: how uncertain the skill is, as a standard deviation.
        results: the number of results.
        successes: the number of successes; a grade counts in part.
        expected_s: how long an attempt takes, in seconds; None if unknown.
        evidence: what exactly is known of the skill; without it, `skill` and `deviation` count.
        pace_evidence: what exactly is known of the pace; without it, `expected_s` counts.
        special: how much the skill was expected to differ from the general one.
        broken: the logarithm of the odds that it always fails tasks of the type.
        noted: results that are counted but not yet taken into account.
        costs: how many attempts' costs count, and their sum; both fade.
        breaker: the state of its breaker.
    """

    skill: _Skill = 5.5
    deviation: Annotated[float, Field(ge=1e-4, le=100, allow_inf_nan=False, strict=True)] = 1.0
    results: _Count = 0
    successes: _Positive = 0.0
    expected_s: _Positive | None = None
    evidence: Evidence6 | None = None
    pace_evidence: Evidence6 | None = None
    special: _Skill | None = None
    prior: _Skill | None = None
    broken: _LogOdds | None = None
    noted: NotedSection = Field(default_factory=NotedSection)
    costs: tuple[_Positive, _Positive] = (0.0, 0.0)
    breaker: BreakerSection = Field(default_factory=BreakerSection)


_Sections = Annotated[dict[_Name, TypeSection], Field(max_length=100_000)]


class WorkerSection(_Section):
    """What is known of a worker.

    Args:
        skill: its general skill.
        deviation: how uncertain that is, as a standard deviation.
        prior: the general skill that was expected of it; None in a file that was written by hand.
        shift: how far that expectation has moved since, because its skill has changed.
        change: the evidence for a fall and for a rise of all its skills, and the number of results
            since the last one.
        types: what is known of it by type of task.
        skills: what is known of it by named skill.
    """

    skill: _Skill | None = None
    deviation: _Positive | None = None
    prior: _Skill | None = None
    shift: _Skill = 0.0
    change: tuple[_Positive, _Positive, _Positive] = (0.0, 0.0, 0.0)
    types: _Sections = Field(default_factory=dict)
    skills: _Sections = Field(default_factory=dict)


class SharedSection(_Section):
    """What is common to all workers.

    Args:
        noise: the luck in one attempt, as a standard deviation in units of skill.
        log_weights: the logarithms of the weights of the candidates for it.
        weights: the weights that are in use.
        ease: how much easier all types are than their tasks' difficulty says.
        updates: the number of updates of skills, and at which one `ease` is computed again.
    """

    noise: _Positive | None = None
    log_weights: _LogWeights
    weights: _Weights
    ease: _Skill = 0.0
    updates: tuple[_Count, _Count] = (0, 1)


class SkillsFile(_Section):
    """The whole content of a skills file."""

    format: Literal["muster-skills"] = FORMAT
    version: Literal[1] = VERSION
    shared: SharedSection | None = None
    workers: Annotated[dict[_Name, WorkerSection], Field(max_length=100_000)] = Field(
        default_factory=dict
    )


SectionT = TypeVar("SectionT", bound=_Section)


def read_skills_file(content: Mapping[str, Payload]) -> SkillsFile:
    """Check the content of a skills file.

    Raises:
        InvalidInput: it is not valid; the message names the place and the value.
    """
    if not isinstance(content, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - users'
        raise InvalidInput(f"{show(content)} is no skills file; it must be an object")
    kind, version = content.get("format"), content.get("version")
    if kind != FORMAT:
        raise InvalidInput(f"format: {show(kind)} is not {FORMAT!r}, so this is no skills file")
    if type(version) is not int or version != VERSION:
        raise InvalidInput(
            f"version: {show(version)} can't be read, only {VERSION}; "
            "export the skills again with this release of Muster"
        )
    return _read(SkillsFile, content, "skills file")


def read_worker_row(row: Mapping[str, Payload], name: str) -> WorkerSection:
    """Check a worker's row.

    Raises:
        InvalidInput: it is not valid; the message names the place and the value.
    """
    return _read(WorkerSection, row, f"skills of worker {name!r}")


def read_shared_row(row: Mapping[str, Payload]) -> SharedSection:
    """Check the row of what is common to all workers.

    Raises:
        InvalidInput: it is not valid; the message names the place and the value.
    """
    return _read(SharedSection, row, "skills of all workers")


def write_section(section: _Section) -> dict[str, Payload]:
    """A section as plain values, without what is as by default."""
    return section.model_dump(mode="json", exclude_defaults=True)


def _read(kind: type[SectionT], content: Mapping[str, Payload], what: str) -> SectionT:
    try:
        return kind.model_validate(dict(content))
    except ValidationError as fault:
        raise InvalidInput(f"{what}: {summarize(fault)}") from None
