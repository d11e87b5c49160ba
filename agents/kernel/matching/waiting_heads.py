"""The most urgent task of each group, in the order of urgency, for learning policies."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence

from .learning_policy import WaitingHead
from .ready_queue import QueueEntry, TaskGroup


class WaitingHeads:
    """A sorted list of the groups that some connected worker can run, by their first entries."""

    def __init__(self) -> None:
        # In parallel; bounded by the groups.
        self._entries: list[QueueEntry] = []
        self.heads: list[WaitingHead] = []
        """The groups, the most urgent first."""
        self.version = 0
        """A number that changes when a group is listed that was not listed before."""

    def rebuild(self, groups: Collection[TaskGroup], changed: Sequence[TaskGroup]) -> None:
        """List groups anew, because the workers that can run them may have changed."""
        if len(changed) < len(groups) // 8:
            for group in changed:
                if group.candidate_set is not None:
                    group.able = group.candidate_set.workers
                self.update(group)
            return
        self.version += 1
        for entry in self._entries:
            entry.group.listed = None
        listed: list[QueueEntry] = []
        for group in groups:
            first = group.drop_stale() if group.candidate_set is not None else None
            if first is not None:
                _show(group, first)
                listed.append(first)
        listed.sort()
        self._entries = listed
        self.heads = [entry.group for entry in listed]

    def update(self, group: TaskGroup) -> None:
        """Move a group to the place of its first entry, or remove it."""
        first = group.drop_stale() if group.candidate_set is not None else None
        listed = group.listed
        if first is listed:
            return
        entries, heads = self._entries, self.heads
        if listed is not None:
            place = 0 if entries[0] is listed else bisect_left(entries, listed)
            if (
                first is not None
                and listed < first
                and (place + 1 == len(entries) or first < entries[place + 1])
            ):
                # It stays where it is.
                entries[place] = first
                _show(group, first)
                return
            del entries[place]
            del heads[place]
            group.listed = None
        else:
            self.version += 1
        if first is not None:
            _show(group, first)
            place = bisect_left(entries, first)
            entries.insert(place, first)
            heads.insert(place, group)

    def by_turns(self) -> Iterator[Sequence[WaitingHead]]:
        """The groups of each level and key together, in the order of the turns of keys."""
        entries, heads = self._entries, self.heads
        begin = 0
        for end in range(1, len(entries) + 1):
            if end == len(entries) or entries[end].urgency[:3] != entries[begin].urgency[:3]:
                yield heads[begin:end]
                begin = end


def _show(group: TaskGroup, first: QueueEntry) -> None:
    group.listed = first
    group.task = first.record.task
    group.level = first.urgency[0]
    group.waits_since = first.since
    if group.candidate_set is not None:
        group.able = group.candidate_set.workers
