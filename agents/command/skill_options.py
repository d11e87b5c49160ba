"""Reads skills as command lines and tables write them, such as `7` and `vision=9`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from ...messages import InvalidInput
from ...messages.task import MAX_SKILL
from ...messages.wording import show


class SkillOptions(NamedTuple):
    """The values of `--skill`.

    Args:
        level: the general skill level; None if it is not given.
        named: the named skills with their levels.
    """

    level: int | None = None
    named: Mapping[str, float] = MappingProxyType({})


def read_skill_options(values: Iterable[str]) -> SkillOptions:
    """Read the values of `--skill`: one integer at most, and named skills such as "vision=9".

    Raises:
        InvalidInput: a value is neither, or given twice.
    """
    level: int | None = None
    named: dict[str, float] = {}
    for value in values:
        if "=" in value:
            try:
                add_named_level(value, named)
            except ValueError as fault:
                raise InvalidInput(f"--skill is {show(value)}: {fault}") from None
            continue
        if level is not None:
            raise InvalidInput(
                f"--skill is {level} and {show(value)}; give one number, and others by a name, "
                "such as --skill vision=9"
            )
        try:
            level = int(value)
        except ValueError:
            raise InvalidInput(
                f"--skill is {show(value)}; give an integer, such as 7, or a name with a level, "
                "such as vision=9"
            ) from None
        if not 0 <= level <= MAX_SKILL:
            raise InvalidInput(f"--skill is {level}; it must be from 0 to {MAX_SKILL:,}")
    return SkillOptions(level, named)


def add_named_level(text: str, levels: dict[str, float]) -> None:
    """Add a skill with its level, such as "vision=9", to others.

    Raises:
        ValueError: it is not a name with a number, or the name is there already.
    """
    name, _, level = (part.strip() for part in text.rpartition("="))
    number = _number_in(level)
    if not name or number is None:
        raise ValueError(f"{show(text.strip())} is not a name with a level; write vision=7")
    if name in levels:
        raise ValueError(f"the skill {show(name)} is given twice")
    if not 0 <= number <= MAX_SKILL:
        raise ValueError(f"the level is {number:g}; it must be from 0 to {MAX_SKILL:,}")
    levels[name] = number


def _number_in(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else number
