"""What a handler reports about its attempt besides the output: cost, usage, grade and refusal."""

from __future__ import annotations

import math
import threading
from typing import NoReturn

from pydantic import TypeAdapter, ValidationError

from ...messages import InvalidInput, TaskResult
from ...messages.usage import MAX_MODEL_CHARACTERS, ModelUsage
from ...messages.wording import show
from .handler_requests import TaskDeclined

MAX_UNIT_CHARACTERS = 20

_read_usage = TypeAdapter(ModelUsage).validate_python

_adding = threading.Lock()
"""Held while a cost or a usage is added: several threads of one handler may report them."""


class HandlerReport:
    """What one attempt costs and uses, and its grade, as its handler reports them."""

    # Class attributes, since most attempts report nothing and should not pay for it.
    _cost: float | None = None
    _cost_unit: str = ""
    _quality: float | None = None
    _usage: ModelUsage | None = None

    def cost(self, amount: float, unit: str = "") -> None:
        """Report what the attempt costs; several calls add up. It replaces the worker's rates.

        Args:
            amount: the cost, 0 or more.
            unit: its unit, such as "USD", 20 characters at most; "" for the manager's. All calls
                of an attempt must name the same unit.

        Raises:
            InvalidInput: the amount is below 0 or not finite, or the unit is too long or another
                one than before.
        """
        if not _is_number(amount) or not (amount >= 0 and math.isfinite(amount)):
            raise InvalidInput(f"cost is {show(amount)}; it must be a finite number of 0 or more")
        if not _is_unit(unit):
            raise InvalidInput(
                f"the unit of the cost is {show(unit)}; it must be text of at most "
                f"{MAX_UNIT_CHARACTERS} characters"
            )
        with _adding:
            if self._cost is not None and unit != self._cost_unit:
                raise InvalidInput(
                    f"the unit of the cost is {unit!r}, and was {self._cost_unit!r} before; "
                    "report all costs of an attempt in one unit"
                )
            total = (self._cost or 0.0) + amount
            if not math.isfinite(total):
                raise InvalidInput(f"cost is {show(amount)}; the sum is not finite any more")
            self._cost, self._cost_unit = total, unit

    def usage(self, model: str, tokens_in: int, tokens_out: int) -> None:
        """Report what the attempt uses of a model; the tokens of several calls add up.

        Args:
            model: the model's name, 200 characters at most; that of the last call counts.
            tokens_in: how many tokens went in, 0 or more.
            tokens_out: how many tokens came out, 0 or more.

        Raises:
            InvalidInput: an argument is out of range.
        """
        with _adding:
            before = self._usage or ModelUsage("")
            try:
                self._usage = _read_usage(
                    (model, before.tokens_in + tokens_in, before.tokens_out + tokens_out)
                )
                _read_usage((model, tokens_in, tokens_out))
            except (TypeError, ValidationError):
                self._usage = before if before.model else None
                raise InvalidInput(
                    f"the usage is {show((model, tokens_in, tokens_out))}; it must be the name of "
                    f"a model, {MAX_MODEL_CHARACTERS} characters at most, and two whole numbers of "
                    "tokens from 0 on"
                ) from None

    def quality(self, grade: float) -> None:
        """Grade the output of the attempt; the last call counts.

        The grade can only lower what counts as the worker's success. That of a reviewer replaces
        it.

        Args:
            grade: 0 (useless) to 1 (perfect).

        Raises:
            InvalidInput: the grade is out of range.
        """
        if not _is_number(grade) or not 0 <= grade <= 1:
            raise InvalidInput(f"quality is {show(grade)}; it must be a number from 0 to 1")
        self._quality = float(grade)

    def decline(self, reason: str) -> NoReturn:
        """Decline the task: the attempt ends here, and another worker gets the task.

        This is no failure and uses no attempt. The task fails only if all workers decline it.

        Args:
            reason: why this worker should not have the task; 1,000 characters at most are kept.

        Raises:
            TaskDeclined: always; let it pass.
        """
        raise TaskDeclined(reason)

    @property
    def has_report(self) -> bool:
        """Whether the handler has reported a cost, a usage or a grade."""
        return not (self._cost is None and self._quality is None and self._usage is None)

    def complete(self, result: TaskResult) -> TaskResult:
        """Add what was reported to a result, unless the result says it already."""
        added: dict[str, object] = {}
        if result.cost is None and self._cost is not None:
            added |= {"cost": self._cost, "cost_unit": self._cost_unit}
        if result.quality is None and self._quality is not None:
            added["quality"] = self._quality
        if result.usage is None and self._usage is not None:
            added["usage"] = self._usage
        return result.model_copy(update=added) if added else result


def _is_unit(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_UNIT_CHARACTERS


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
