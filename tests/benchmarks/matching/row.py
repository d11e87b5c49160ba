"""What a row of the table is: a world for each seed, policies that play it, figures and targets."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from muster.agents.kernel.matching.policies import MatchingPolicy
from muster.agents.simulation.hidden_skills import HiddenWorld
from muster.agents.simulation.reference_policies import make_policy

Curves: TypeAlias = dict[str, list[Any]]
"""Lists of numbers that are drawn, by their keys."""

Pool: TypeAlias = Callable[[Mapping[str, float], list[Curves]], dict[str, float]]
"""Makes further figures of a policy from its mean figures and the curves of all its seeds."""


@dataclass(frozen=True)
class Job:
    """One seed of one row.

    Args:
        row: the name of the row.
        seed: the seed.
        policies: the policies to play, by name; see `find`.
        quick: whether to play little, to see that it runs.
        data: the folder with the files of real outcomes.
    """

    row: str
    seed: int
    policies: tuple[str, ...]
    quick: bool
    data: Path

    def count(self, usual: int, quick: int) -> int:
        """A number that is smaller if the job is to be quick."""
        return quick if self.quick else usual


@dataclass
class Outcome:
    """What came of a job.

    Args:
        figures: by policy, the figures by their keys.
        curves: by policy, the lists of numbers that are drawn, by their keys.
    """

    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    curves: dict[str, Curves] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A column of a row.

    Args:
        key: its name in the JSON.
        label: its name in the table.
        target: what the policy that learns is to reach; None: nothing.
        at_most: whether the target is the most and not the least.
        today: what the default policy came to before policies could learn, as it was measured
            elsewhere; "" if it was not.
        digits: how many digits are shown.
    """

    key: str
    label: str
    target: float | None = None
    at_most: bool = False
    today: str = ""
    digits: int = 3

    def is_met(self, value: float) -> bool | None:
        """Whether a value reaches the target; None without a target."""
        if self.target is None:
            return None
        return value <= self.target if self.at_most else value >= self.target


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Args:
        name: what `--only` calls it.
        title: what is measured.
        figures: its columns.
        play: plays one seed.
        policies: the policies that it compares beside the one that is measured.
        seeds: how many seeds it takes at most; None: all.
        pool: makes further figures of all seeds; None: none.
    """

    name: str
    title: str
    figures: tuple[Figure, ...]
    play: Callable[[Job], Outcome]
    policies: tuple[str, ...] = ("best_fit", "random")
    seeds: int | None = None
    pool: Callable[[Mapping[str, float], list[dict[str, list[Any]]]], dict[str, float]] | None = (
        None
    )


def find(name: str, world: HiddenWorld) -> MatchingPolicy:
    """A policy by its name, new for each run.

    Args:
        name: a built-in policy, one of `reference_policies`, or `module:attribute`, which is
            called without arguments.
        world: the world to be played.
    """
    if ":" in name:
        module, _, attribute = name.partition(":")
        made: MatchingPolicy = getattr(importlib.import_module(module), attribute)()
        return made
    return make_policy(name, world)


def share(values: Mapping[str, float], policy: str) -> float:
    """What a policy came to over what the oracle came to."""
    return values[policy] / values["oracle"] if values["oracle"] else float("nan")
