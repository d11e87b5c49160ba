"""Learns how sharply success depends on the margin between skill and difficulty."""

from __future__ import annotations

from collections.abc import Sequence
from math import erfc, exp, log, pi, sqrt

NOISES = (0.15, 0.5, 1.0, 1.8, 3.0, 5.0)
"""Candidate standard deviations of the luck in one attempt, in units of skill.

The first is a hard threshold: an attempt succeeds if and only if the skill reaches the difficulty.
A logistic curve with slope a has about the noise 1.7 / a.
"""

LAPSE = 0.005
"""The share of attempts whose outcome has nothing to do with skill."""

_STEADY = 1.0 - 2.0 * LAPSE
_PRIORS = (0.1, 0.15, 0.25, 0.25, 0.15, 0.1)
_FORGETTING = 0.999
_SHIFT_TO_PUBLISH = 0.02
_VARIANCES = tuple(noise * noise for noise in NOISES)
_LEAST_LOG_WEIGHT = -12.0
_LEAST_WEIGHT = 2e-3
_PER_ROOT_2 = 1.0 / sqrt(2.0)
_PER_ROOT_2_PI = 1.0 / sqrt(2.0 * pi)


class Sharpness:
    """The weights of the candidate noises, and what follows from them for one attempt.

    An attempt succeeds if skill plus luck reaches the difficulty, where the luck is Gaussian
    (Thurstone's model, the probit link). With probability `LAPSE` it succeeds or fails regardless.
    The standard deviation of the luck is unknown, so all formulas are averaged over a few
    candidates, whose weights are updated by Bayes' rule (Bayesian model averaging).

    Args:
        weights: the weights of `NOISES`; None for the prior.
    """

    __slots__ = ("_deviations", "_log_weights", "_used", "_variance", "published", "version")

    def __init__(self, weights: Sequence[float] | None = None) -> None:
        self._log_weights = [log(each) for each in weights or _PRIORS]
        self._used: list[tuple[float, float]] = []
        # For the variance that `chance` had last: many margins have the same.
        self._variance = -1.0
        self._deviations: list[tuple[float, float]] = []
        # The weights that `chance` uses; they follow the learned ones in steps.
        self.published: tuple[float, ...] = ()
        self.version = 0
        self._publish(self._weights())

    @property
    def log_weights(self) -> tuple[float, ...]:
        """The logarithms of the weights."""
        return tuple(self._log_weights)

    @property
    def noise(self) -> float:
        """The mean noise, in units of skill."""
        weights = self._weights()
        return sum(weight * noise for weight, noise in zip(weights, NOISES, strict=True))

    def restore(self, log_weights: Sequence[float], published: Sequence[float]) -> None:
        """Set the learned weights, and those in use."""
        self._log_weights = list(log_weights)
        self._publish(published)

    def chance(self, margin: float, variance: float) -> float:
        """The probability of success.

        Averaging the probit curve over a Gaussian skill gives a probit curve again:
        E[Φ(x / s)] = Φ(m / √(s² + v)).

        Args:
            margin: the mean of skill minus difficulty.
            variance: the variance of the skill.
        """
        if variance != self._variance:
            self._variance = variance
            self._deviations = [(weight, sqrt(noise + variance)) for noise, weight in self._used]
        reach = -margin * _PER_ROOT_2
        total = 0.0
        for weight, deviation in self._deviations:
            total += weight * erfc(reach / deviation)
        return LAPSE + _STEADY * 0.5 * total

    def slopes(self, margin: float, variance: float, *, success: bool) -> tuple[float, float]:
        """How an outcome moves the belief about a skill.

        Assumed-density filtering by moment matching (Opper 1998; TrueSkill, Herbrich et al. 2006,
        is the same with two players): with Z the probability of the outcome, the mean moves by
        v · a, and the variance becomes v - v² · b, where a = d log Z / dm and b = -da / dm.

        Args:
            margin: the mean of skill minus difficulty.
            variance: the variance of the skill.
            success: the outcome.

        Returns:
            a and b.
        """
        sign = 1.0 if success else -1.0
        probability = slope = bend = 0.0
        for noise_variance, weight in self._used:
            per_deviation = 1.0 / sqrt(noise_variance + variance)
            z = margin * per_deviation
            density = weight * per_deviation * exp(-0.5 * z * z)
            probability += weight * erfc(-sign * z * _PER_ROOT_2)
            slope += density
            bend += density * z * per_deviation
        probability = LAPSE + _STEADY * 0.5 * probability
        slope *= sign * _STEADY * _PER_ROOT_2_PI / probability
        bend *= sign * _STEADY * _PER_ROOT_2_PI / probability
        return slope, slope * slope + bend

    def learn(self, margin: float, variance: float, success: float, count: float) -> None:
        """Weigh the candidates by outcomes of attempts; `follow` takes the weights into use.

        Args:
            margin: the mean of skill minus difficulty before the outcomes.
            variance: the variance of the skill before the outcomes.
            success: the share of success, 0 to 1.
            count: the number of attempts.
        """
        weights = self._log_weights
        reach = -margin * _PER_ROOT_2
        good, bad = count * success, count * (1.0 - success)
        for index, noise_variance in enumerate(_VARIANCES):
            chance = LAPSE + _STEADY * 0.5 * erfc(reach / sqrt(noise_variance + variance))
            if good:
                weights[index] += good * log(chance)
            if bad:
                weights[index] += bad * log(1.0 - chance)

    def follow(self) -> None:
        """Take the weights into use if they have moved, and let the evidence for them fade."""
        greatest = max(self._log_weights)
        # Comparing is faster than `max`.
        self._log_weights = [
            faded
            if (faded := _FORGETTING * (each - greatest)) > _LEAST_LOG_WEIGHT
            else _LEAST_LOG_WEIGHT
            for each in self._log_weights
        ]
        weights = self._weights()
        for weight, published in zip(weights, self.published, strict=True):
            if abs(weight - published) > _SHIFT_TO_PUBLISH:
                self._publish(weights)
                break

    def _weights(self) -> list[float]:
        weights = [exp(each) for each in self._log_weights]
        total = sum(weights)
        return [weight / total for weight in weights]

    def _publish(self, weights: Sequence[float]) -> None:
        self.published = tuple(weights)
        self._used = [
            (variance, weight)
            for variance, weight in zip(_VARIANCES, weights, strict=True)
            if weight >= _LEAST_WEIGHT
        ]
        self._variance = -1.0
        self.version += 1
