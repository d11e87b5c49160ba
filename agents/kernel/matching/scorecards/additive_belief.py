"""Gaussian beliefs about sums of what is a worker's, a type's, and special to both."""

from __future__ import annotations

from math import fsum
from typing import TypeAlias

_LEAST_MOVE = 0.02
_LEAST_GAIN = 0.02


Belief: TypeAlias = tuple[float, float]
"""The mean and variance of a Gaussian belief; a plain tuple, since so many are made."""


class SharedBelief:
    """A quantity that several cells have in common, such as a worker's general skill.

    It is known by its prior and by one message of each cell (Gaussian belief propagation). The sums
    are exact (`fsum`), so that they depend neither on the order of the messages nor on whether they
    were restored.

    Args:
        mean: the mean of the prior.
        deviation: the standard deviation of the prior.
    """

    __slots__ = ("_known", "mean", "precisions", "prior_precision", "version", "weights")

    def __init__(self, mean: float, deviation: float) -> None:
        self.mean = mean
        self.prior_precision = 1.0 / (deviation * deviation)
        self.precisions: dict[str, float] = {}
        self.weights: dict[str, float] = {}
        self.version = 0
        self._known: tuple[float, float] | None = None

    def tell(self, cell: str, precision: float, weight: float) -> None:
        """Take the message of a cell: its precision, and its mean times its precision.

        A message that hardly changes the belief is dropped, so that others that depend on the
        belief need not follow it.
        """
        known = self.precisions.get(cell)
        # One without precision says nothing, and is not kept in a store.
        if known:
            mean, variance = self.without("")
            gained = precision - known
            moved = (weight - self.weights[cell] - gained * mean) * variance
            if abs(moved) < _LEAST_MOVE and abs(gained) * variance < _LEAST_GAIN:
                return
        self.set_message(cell, precision, weight)

    def set_message(self, cell: str, precision: float, weight: float) -> None:
        """Set the message of a cell, as when it is restored."""
        self.precisions[cell] = precision
        self.weights[cell] = weight
        self.version += 1
        self._known = None

    def drop_message(self, cell: str) -> None:
        """Drop the message of a cell, if there is one."""
        if self.precisions.pop(cell, None) is not None:
            del self.weights[cell]
            self.version += 1
            self._known = None

    def evidence(self) -> tuple[float, float]:
        """The precision and weight of all messages together."""
        return fsum(self.precisions.values()), fsum(self.weights.values())

    def move_prior(self, mean: float) -> None:
        """Set the mean of the prior."""
        self.mean = mean
        self.version += 1
        self._known = None

    def without(self, cell: str) -> Belief:
        """The belief, without what this cell has told; "" leaves nothing out."""
        known = self._known
        if known is None:
            precision, weight = self.evidence()
            known = self._known = (
                self.prior_precision + precision,
                self.mean * self.prior_precision + weight,
            )
        precision, weight = known
        own = self.precisions.get(cell)
        if own is not None:
            precision = max(precision - own, self.prior_precision)
            weight -= self.weights[cell]
        return weight / precision, 1.0 / precision


class AdditiveCell:
    """What one worker's results with one type of task say about a quantity of both.

    The quantity is worker + type + special. The results are kept as the precision and weight of one
    Gaussian observation of that sum, as in expectation propagation (Minka 2001), beside the
    messages about the worker and the type that follow from it.

    Args:
        worker: what is common to all types.
        type: what is common to all workers.
        worker_name: the name of the worker, which names its message to `type`.
        type_name: the name of the type, which names its message to `worker`.
        special: the mean of what is special to both.
        special_deviation: its standard deviation.
    """

    __slots__ = (
        "_known",
        "_known_version",
        "precision",
        "special",
        "special_variance",
        "type",
        "type_name",
        "version",
        "weight",
        "worker",
        "worker_name",
    )

    def __init__(
        self,
        worker: SharedBelief,
        type: SharedBelief,  # noqa: A002 - the field's own word
        worker_name: str,
        type_name: str,
        *,
        special: float,
        special_deviation: float,
    ) -> None:
        self.worker = worker
        self.type = type
        self.worker_name = worker_name
        self.type_name = type_name
        self.special = special
        self.special_variance = special_deviation * special_deviation
        self.precision: float = 0.0
        self.weight: float = 0.0
        self.version = 0
        self._known: Belief = (0.0, 0.0)
        self._known_version = -1

    def belief(self) -> Belief:
        """The belief about the sum."""
        version = self.version + self.worker.version + self.type.version
        if version == self._known_version:
            return self._known
        self._known_version = version
        worker_mean, worker_variance = self.worker.without(self.type_name)
        type_mean, type_variance = self.type.without(self.worker_name)
        prior_precision = 1.0 / (worker_variance + type_variance + self.special_variance)
        precision = prior_precision + self.precision
        mean = (worker_mean + type_mean + self.special) * prior_precision + self.weight
        self._known = mean / precision, 1.0 / precision
        return self._known

    def gain(self, precision: float, weight: float, kept: float) -> None:
        """Add evidence, which is not told yet.

        Args:
            precision: its precision; below 0 takes evidence away.
            weight: its mean times its precision.
            kept: the part of the evidence so far that is kept, 0 to 1.
        """
        precision += kept * self.precision
        weight += kept * self.weight
        if precision <= 0.0:
            # The new evidence says that the evidence so far means nothing.
            precision = weight = 0.0
        self.precision, self.weight = precision, weight
        self.version += 1

    def shift(self, by: float, kept: float) -> None:
        """Move the mean of the evidence, and keep only a part of it.

        Args:
            by: how far it moves.
            kept: the part that is kept, 0 to 1.
        """
        self.weight = kept * (self.weight + by * self.precision)
        self.precision *= kept
        self.tell()

    def tell(self) -> None:
        """Send the messages about the worker and the type."""
        mean, variance = self.worker.without(self.type_name)
        self.tell_worker()
        part = 1.0 / (1.0 + self.precision * (self.special_variance + variance))
        weight = self.weight - self.precision * (self.special + mean)
        self.type.tell(self.worker_name, self.precision * part, weight * part)

    def tell_worker(self) -> None:
        """Send the message about the worker alone."""
        mean, variance = self.type.without(self.worker_name)
        part = 1.0 / (1.0 + self.precision * (self.special_variance + variance))
        weight = self.weight - self.precision * (self.special + mean)
        self.worker.tell(self.type_name, self.precision * part, weight * part)
        self.version += 1

    def withdraw(self) -> None:
        """Take back both messages, before the cell is dropped."""
        self.worker.drop_message(self.type_name)
        self.type.drop_message(self.worker_name)
