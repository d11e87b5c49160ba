"""A mean over the runs of several seeds, with its 95 % interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

# The 97.5 % quantile of Student's t by degrees of freedom, and for more of them.
_QUANTILES = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26}
_QUANTILE_OF_MANY = 2.09


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Args:
        mean: the mean.
        half_width: half the width of its 95 % interval; NaN with one seed.
        count: how many seeds it is of.
    """

    mean: float
    half_width: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Estimate:
        """The mean of these values, with its interval."""
        given = [value for value in values if not math.isnan(value)]
        if not given:
            return cls(math.nan, math.nan, 0)
        if len(given) == 1:
            return cls(given[0], math.nan, 1)
        quantile = _QUANTILES.get(len(given) - 1, _QUANTILE_OF_MANY)
        width = quantile * statistics.stdev(given) / math.sqrt(len(given))
        return cls(statistics.fmean(given), width, len(given))

    def text(self, digits: int) -> str:
        """The mean and its interval."""
        if math.isnan(self.mean):
            return "-"
        mean = f"{self.mean:.{digits}f}"
        return mean if math.isnan(self.half_width) else f"{mean} ± {self.half_width:.{digits}f}"
