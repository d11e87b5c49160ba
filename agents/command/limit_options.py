"""Reads limits and weights of keys from options, such as "type=send_mail,rate=100,per_s=60"."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from ...messages import InvalidInput, Limit
from ...messages.limit import check_limits, check_weights
from ...messages.wording import summarize

_WHOLE = ("concurrent", "rate", "burst")
_EXAMPLE = "such as type=send_mail,rate=100,per_s=60 or each_key,concurrent=2"


def read_limits(texts: Iterable[str]) -> tuple[Limit, ...]:
    """Read limits, each a list of fields with commas between them.

    Raises:
        InvalidInput: one can't be read or limits nothing, or two are for the same tasks.
    """
    return check_limits(_read_limit(text) for text in texts)


def read_weights(texts: Iterable[str]) -> dict[str, float]:
    """Read weights of keys, each such as "customer-7=3".

    Raises:
        InvalidInput: one can't be read or is out of range, or a key is named twice.
    """
    weights: dict[str, float] = {}
    for text in texts:
        key, equals, value = text.rpartition("=")
        if not equals:
            raise InvalidInput(f"--weight {text!r} has no weight; write KEY=WEIGHT")
        if key in weights:
            raise InvalidInput(f"--weight names the key {key!r} twice; name it once")
        weights[key] = _number("--weight", text, value)
    return check_weights(weights)


def _read_limit(text: str) -> Limit:
    fields: dict[str, object] = {}
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        if name not in Limit.model_fields:
            known = ", ".join(Limit.model_fields)
            raise InvalidInput(
                f"--limit {text!r} has {name!r}, which is no field of a limit; there are {known}"
            )
        if name in fields:
            raise InvalidInput(f"--limit {text!r} has {name} twice; give it once")
        if name == "each_key":
            if equals:
                raise InvalidInput(f"--limit {text!r} gives each_key a value; write it without")
            fields[name] = True
        elif not equals:
            raise InvalidInput(f"--limit {text!r} has no value for {name}; write {_EXAMPLE}")
        elif name in _WHOLE:
            number = _number("--limit", text, value)
            fields[name] = int(number) if number.is_integer() else number
        else:
            fields[name] = _number("--limit", text, value) if name == "per_s" else value
    try:
        return Limit(**fields)  # type: ignore[arg-type] - pydantic checks them
    except ValidationError as fault:
        raise InvalidInput(f"--limit {text!r}: {summarize(fault)}") from None


def _number(option: str, text: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise InvalidInput(f"{option} {text!r} has {value!r} where a number must be") from None
