"""The built-in policies by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ....messages import UnknownName
from .adaptive import AdaptivePolicy
from .policies import BestFit, ByScore, InOrder, MatchingPolicy

POLICIES: Mapping[str, Callable[[], MatchingPolicy]] = {
    policy.name: policy for policy in (AdaptivePolicy, BestFit, InOrder, ByScore)
}
"""What makes each built-in policy, by its name."""


def find_policy(name: str) -> MatchingPolicy:
    """A new built-in policy with this name. A policy that learns belongs to one manager.

    Raises:
        UnknownName: there is none; the message lists all names.
    """
    policy = POLICIES.get(name)
    if policy is None:
        raise UnknownName("policy", name, POLICIES)
    return policy()
