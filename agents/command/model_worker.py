"""Makes the handlers of `muster worker --model`, and checks the model's server."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...messages import InvalidInput
from ..execution.handlers import Handlers

_MAX_SYSTEM_BYTES = 1024 * 1024


class ModelOptions(NamedTuple):
    """The options of `muster worker` for a language model, as they were given.

    Args:
        model: the model's name; None for no model.
        base_url: its server's URL.
        price_in: the price of a million tokens that go in.
        price_out: the price of a million tokens that come out.
        types: the types of its tasks.
        key_file: the file with the key.
        system: the file with the system prompt.
    """

    model: str | None = None
    base_url: str | None = None
    price_in: float | None = None
    price_out: float | None = None
    types: Sequence[str] | None = None
    key_file: Path | None = None
    system: Path | None = None


def make_model_handlers(options: ModelOptions, others: Handlers | None) -> Handlers | None:
    """Make the handlers, and ask the server whether it has the model.

    Args:
        options: the options.
        others: the handlers of `--handlers`, which come first; None for none.

    Returns:
        All handlers; `others` without a model.

    Raises:
        InvalidInput: an option is not valid, or is given without `--model`.
        ModelUnusable: the server does not have the model; says what to change.
        ExtraMissing: the package `openai` is not installed.
    """
    if options.model is None:
        given = [name for name, value in options._asdict().items() if value is not None]
        if given:
            raise InvalidInput(f"--{given[0].replace('_', '-')} is for a model; add --model NAME")
        return others
    # Most workers have no model.
    from ..models.handlers import ModelHandlers  # noqa: PLC0415
    from ..models.price import Price  # noqa: PLC0415

    if (options.price_in is None) is not (options.price_out is None):
        raise InvalidInput("--price-in and --price-out belong together; give both of them")
    for option, each in (("--price-in", options.price_in), ("--price-out", options.price_out)):
        if each is not None and not (each >= 0 and math.isfinite(each)):
            raise InvalidInput(f"{option} is {each:g}; it must be a finite number of 0 or more")
    price = None
    if options.price_in is not None and options.price_out is not None:
        price = Price(options.price_in, options.price_out)
    if listed := next((each for each in options.types or () if "," in each), None):
        names = " ".join(f"--types {each.strip()}" for each in listed.split(",") if each.strip())
        raise InvalidInput(f"--types {listed!r} is a list; give each type by itself: {names}")
    made = ModelHandlers(
        options.model,
        options.base_url,
        price=price,
        types=options.types or None,
        system="" if options.system is None else _read_system(options.system),
        key_file=options.key_file,
    )
    asyncio.run(made.check_server())
    if others is not None:
        made.update(others)
    return made


def _read_system(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_SYSTEM_BYTES + 1)
        text = content.decode()
    except OSError as fault:
        reason = fault.strerror or fault
        raise InvalidInput(f"the system prompt {str(path)!r} can't be read: {reason}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"the system prompt {str(path)!r} is not UTF-8 text") from None
    if len(content) > _MAX_SYSTEM_BYTES:
        raise InvalidInput(
            f"the system prompt {str(path)!r} has more than {_MAX_SYSTEM_BYTES:,} bytes; shorten it"
        )
    return text
