"""Counts what one attempt uses of a model, reports it, and ends the attempt at its limits."""

from __future__ import annotations

from ...messages import ModelFailed
from ..execution.handlers import TaskContext
from .price import ModelLimits, Price

CHARACTERS_PER_TOKEN = 4
"""The estimate for what no server has counted."""


class Meter:
    """Counts the tokens of one attempt.

    Args:
        context: the attempt's context, which takes costs and usage.
        model: the name of the model.
        price: its price; None to report no costs.
        limits: what the attempt may use.
    """

    def __init__(
        self, context: TaskContext, model: str, price: Price | None, limits: ModelLimits
    ) -> None:
        self._context = context
        self._model = model
        self._price = price
        self._limits = limits
        self._tokens = 0
        self._cost = 0.0
        self._turns = 0

    def begin_turn(self, characters_in: int) -> None:
        """Note that the model is to be asked once more.

        Args:
            characters_in: the length of what is sent.

        Raises:
            ModelFailed: a limit does not allow it.
        """
        if self._turns == self._limits.max_turns:
            raise ModelFailed(f"it was not done after {self._turns} turns, the task's limit")
        self._turns += 1
        self.check(characters_in, 0)

    @property
    def turns(self) -> int:
        """How often the model was asked."""
        return self._turns

    def check(self, characters_in: int, characters_out: int) -> None:
        """Check the limits while an answer comes, whose tokens nobody has counted.

        Raises:
            ModelFailed: a limit is passed; says which.
        """
        tokens_in, tokens_out = _estimate(characters_in), _estimate(characters_out)
        limits = self._limits
        if self._tokens + tokens_in + tokens_out > limits.max_tokens:
            raise ModelFailed(f"it needs more than {limits.max_tokens:,} tokens, the task's limit")
        if limits.max_cost is None or self._price is None:
            return
        if self._cost + self._price.of(tokens_in, tokens_out) > limits.max_cost:
            raise ModelFailed(f"it costs more than {limits.max_cost:g}, the task's limit")

    def charge(self, tokens_in: int, tokens_out: int) -> None:
        """Report what an answer has used."""
        self._tokens += tokens_in + tokens_out
        self._context.usage(self._model, tokens_in, tokens_out)
        if self._price is not None:
            cost = self._price.of(tokens_in, tokens_out)
            self._cost += cost
            self._context.cost(cost)

    def charge_estimate(self, characters_in: int, characters_out: int) -> None:
        """Report what an answer has used whose tokens its server has not told."""
        self.charge(_estimate(characters_in), _estimate(characters_out))


def _estimate(characters: int) -> int:
    return -(-characters // CHARACTERS_PER_TOKEN)
