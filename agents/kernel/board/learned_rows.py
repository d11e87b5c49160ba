"""Makes rows of what a matching policy has learned, and gives them back to the policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from ....messages import DecodeError, Flaw, InvalidInput, Payload
from ....messages.values import pack_scalars, unpack
from ..matching.policies import MatchingPolicy
from .rows import LearnedRow


@runtime_checkable
class RemembersState(Protocol):
    """A policy that can be restored with what it has learned."""

    def export_state(self) -> Mapping[str, Payload]:
        """What it has learned: the parts by name, each of values that msgpack can pack."""
        ...

    def restore_state(self, state: Mapping[str, Payload]) -> None:
        """Continue with the parts that `export_state` returned, or leave all as it is.

        Raises:
            InvalidInput: a part can't be read.
        """
        ...


@runtime_checkable
class TracksChangedState(RemembersState, Protocol):
    """A policy that knows which parts of what it has learned have changed."""

    def changed_state(self) -> Mapping[str, Payload]:
        """The parts that have changed since the last call; None for a part that is gone."""
        ...


class LearnedRows:
    """Collects the rows of what a policy has learned since the last write.

    Args:
        policy: the policy; one that remembers nothing has no rows.
    """

    def __init__(self, policy: MatchingPolicy) -> None:
        self._name = policy.name
        self._policy = policy if isinstance(policy, RemembersState) else None
        self._written: dict[str, bytes] = {}

    def changed(self) -> tuple[LearnedRow, ...]:
        """The rows that have changed since the last call; of a new object, all rows."""
        policy = self._policy
        if policy is None:
            return ()
        written = self._written
        if written and isinstance(policy, TracksChangedState):
            parts = policy.changed_state()
        else:
            exported = policy.export_state()
            parts = {part: None for part in written if part not in exported} | dict(exported)
        rows: list[LearnedRow] = []
        for part, content in parts.items():
            state = None if content is None else pack_scalars(content)
            if state != written.get(part):
                rows.append(LearnedRow(self._name, part, state))
                if state is None:
                    del written[part]
                else:
                    written[part] = state
        return tuple(rows)


def learned_by(policy: MatchingPolicy, rows: tuple[LearnedRow, ...]) -> dict[str, Payload]:
    """The parts that a policy has learned, by name.

    Raises:
        DecodeError: a row can't be read.
    """
    parts: dict[str, Payload] = {}
    for row in rows:
        if row.policy == policy.name and row.state is not None:
            try:
                parts[row.part] = unpack(row.state)
            except DecodeError as fault:
                raise DecodeError(fault.flaw, f"{_place(row)}: {fault.detail}") from None
    return parts


def restore_learned(policy: MatchingPolicy, rows: tuple[LearnedRow, ...]) -> None:
    """Give a policy what it has learned; rows of other policies stay in the store, unused.

    Raises:
        DecodeError: a row can't be read; the policy is unchanged.
    """
    if not isinstance(policy, RemembersState):
        return
    parts = learned_by(policy, rows)
    if not parts:
        return
    try:
        policy.restore_state(parts)
    except InvalidInput as fault:
        raise DecodeError(Flaw.INVALID, f"what {policy.name!r} has learned: {fault}") from None


def _place(row: LearnedRow) -> str:
    return f"what {row.policy!r} has learned, part {row.part!r}"
