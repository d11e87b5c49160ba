"""Compares the outputs of several attempts at a task."""

from __future__ import annotations

import hashlib
from typing import cast

from ....messages import Payload
from ....messages.values import pack


def answer_key(output: Payload) -> bytes:
    """A short key that is equal for equal outputs.

    The order of the keys of a dict does not matter, and a float without a fraction equals the
    integer.
    """
    return hashlib.sha256(pack(_canonical(output))).digest()


def _canonical(value: object) -> Payload:
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _EXACT else value
    if isinstance(value, dict):
        items = cast("dict[Payload, Payload]", value).items()
        pairs = [(pack(_canonical(key)), _canonical(item)) for key, item in items]
        # A list of pairs in a list, so that it differs from any list of values.
        return {"": sorted(pairs, key=_first)}
    if isinstance(value, list | tuple):
        return [_canonical(each) for each in cast("list[Payload]", value)]
    return value


_EXACT = 2.0**53
"""The floats below it are exact integers if they have no fraction."""


def _first(pair: tuple[bytes, Payload]) -> bytes:
    return pair[0]
