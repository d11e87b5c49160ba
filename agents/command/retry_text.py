"""Reads a `Retry` from text: an option of `muster manager`, or a cell of a tasks file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import cast

from pydantic import ValidationError

from ...messages import InvalidInput, Payload, Retry
from ...messages.wording import show, summarize
from ..runtime.strict_json import JsonFault, decode_json, describe_json_fault

_PATTERNS = ("on", "unless")
_OF_A_TYPE = re.compile(r"([^=;:{}]+):(.*)", re.DOTALL)
_FORM = (
    "a number of attempts such as 5, fields such as 'max_attempts=5; wait_s=2; "
    "on=ConnectionError|HTTPStatusError:5*', or JSON"
)


def read_retry_fields(text: str) -> dict[str, Payload]:
    """Read the fields of a `Retry`.

    Args:
        text: a number of attempts; or names and values such as "max_attempts=5; wait_s=2", where
            patterns are separated by "|"; or a JSON object.

    Raises:
        ValueError: it has none of these forms.
    """
    text = text.strip()
    if not text:
        raise ValueError(f"it is empty; give {_FORM}")
    if text.startswith("{"):
        try:
            return cast("dict[str, Payload]", decode_json(text))
        except JsonFault as fault:
            raise ValueError(f"not JSON: {describe_json_fault(fault)}") from None
    if text.isdecimal():
        return {"max_attempts": text}
    fields: dict[str, Payload] = {}
    for part in text.split(";"):
        name, equals, value = (each.strip() for each in part.partition("="))
        if not part.strip():
            continue
        if not equals or not name:
            raise ValueError(f"{show(part.strip())} is no field; give {_FORM}")
        fields[name] = value.split("|") if name in _PATTERNS else value
    return fields


def read_retry_options(options: Iterable[str]) -> tuple[Retry | None, dict[str, Retry]]:
    """Read the values of `--retry`, each for all tasks or, as "fetch:5", for those of one type.

    Returns:
        The one for all tasks, or None, and those for one type each.

    Raises:
        InvalidInput: one can't be read, or there are two for the same tasks.
    """
    read: dict[str, Retry] = {}
    for option in options:
        of_a_type = _OF_A_TYPE.fullmatch(option)
        kind, text = ("", option) if of_a_type is None else of_a_type.groups()
        kind = kind.strip()
        if kind in read:
            told = f"tasks of the type {kind!r}" if kind else "all tasks"
            raise InvalidInput(f"--retry {option!r} is the second one for {told}; give one")
        try:
            read[kind] = Retry(**read_retry_fields(text))
        except ValidationError as fault:
            raise InvalidInput(f"--retry {option!r}: {summarize(fault)}") from None
        except ValueError as fault:
            raise InvalidInput(f"--retry {option!r}: {fault}") from None
    return read.pop("", None), read
