"""Reads from a task's attempts what a review or a vote on its result still needs."""

from __future__ import annotations

import hashlib
from collections import Counter
from operator import itemgetter
from typing import NamedTuple, cast

from ....messages import Payload, Task, TaskResult, TaskStatus
from ....messages.values import pack
from .records import Attempt, AttemptOutcome, TaskRecord

EXTRA_VOTES = 4
"""How many more workers than `votes` may run a task whose votes have no majority."""

MAX_FAILED_REVIEWS = 3
"""How many reviews of one result may fail before the task fails."""

ACCEPTED_FROM = 0.5
"""The lowest grade with which a reviewer accepts a result."""

_EXACT = 2.0**53
"""The floats below it are exact integers if they have no fraction."""

_FAILED = frozenset({AttemptOutcome.FAILED, AttemptOutcome.TIMED_OUT, AttemptOutcome.POSTPONED})


class Tally(NamedTuple):
    """The votes on a task.

    Args:
        votes: the attempts that have voted, in the order of their numbers.
        leading: those with the most frequent answer.
        answers: how many attempts gave each answer, the most frequent first.
        has_majority: whether the most frequent answer decides: it has more than half of the votes
            that the task asks for, and more than any other answer.
    """

    votes: list[Attempt]
    leading: list[Attempt]
    answers: tuple[int, ...]
    has_majority: bool


class Restriction(NamedTuple):
    """The workers that may not have the next attempt at a task.

    Args:
        is_review: whether the attempt is a review, which only workers with a reviewer can do.
        barred: the names of the workers that may not have it: the one whose result is reviewed, or
            those that vote already.
        avoided: the names of the workers that get it only if no other can.
    """

    is_review: bool
    barred: frozenset[str]
    avoided: frozenset[str]


def needs_second_opinion(task: Task) -> bool:
    """Whether the result of one worker does not complete a task."""
    return task.review or task.votes > 1


def open_attempts(record: TaskRecord) -> list[Attempt]:
    """The attempts that are leased now; several only if workers vote."""
    if record.task.votes == 1:
        return [each for each in record.attempts[-1:] if each.outcome is None]
    return [each for each in record.attempts if each.outcome is None]


def votes_of(record: TaskRecord) -> list[Attempt]:
    """The attempts whose results wait for a review or for other votes."""
    return [each for each in record.attempts if each.result is not None]


def result_to_review(record: TaskRecord) -> Attempt | None:
    """The attempt whose result is to be reviewed; None if there is none."""
    if not record.task.review:
        return None
    return next((each for each in reversed(record.attempts) if each.result is not None), None)


def failed_reviews(record: TaskRecord, reviewed: Attempt) -> list[Attempt]:
    """The reviews of an attempt that failed or timed out."""
    later = record.attempts[reviewed.number :]
    return [each for each in later if each.is_review and each.outcome in _FAILED]


def is_accepted(review: TaskResult) -> bool:
    """Whether a reviewer's result accepts what it reviewed."""
    return review.quality is None or review.quality >= ACCEPTED_FROM


def restriction_of(record: TaskRecord) -> Restriction | None:
    """Which workers may not have the next attempt at a task; None if all may."""
    reviewed = result_to_review(record)
    if reviewed is not None:
        failed = frozenset(each.worker.name for each in failed_reviews(record, reviewed))
        return Restriction(True, frozenset({reviewed.worker.name}), failed)
    voters = [*open_attempts(record), *votes_of(record)]
    if record.task.votes == 1 or not voters:
        return None
    return Restriction(False, frozenset(each.worker.name for each in voters), record.failed_by)


def count_votes(record: TaskRecord) -> Tally:
    """Count the votes on a task."""
    votes = votes_of(record)
    keys = [answer_key(None if each.result is None else each.result.output) for each in votes]
    counts = Counter(keys).most_common()
    leading = [each for each, key in zip(votes, keys, strict=True) if key == counts[0][0]]
    answers = tuple(count for _, count in counts)
    is_ahead = len(answers) == 1 or (len(answers) > 1 and answers[0] > answers[1])
    return Tally(votes, leading, answers, is_ahead and len(leading) > record.task.votes // 2)


def lacks_votes(record: TaskRecord) -> bool:
    """Whether one more worker should vote on a task that is not decided yet."""
    votes, running = len(votes_of(record)), len(open_attempts(record))
    if votes + running >= record.task.votes and running:
        # If these do not decide, one more is asked when they have ended.
        return False
    most = record.task.votes + EXTRA_VOTES + record.max_attempts - 1
    return votes + running + record.failures < most


def wants_vote(record: TaskRecord) -> bool:
    """Whether a task that workers vote on now waits for one more worker."""
    is_voted_on = record.task.votes > 1 and record.status is TaskStatus.IN_PROGRESS
    return is_voted_on and record.wait_until is None and lacks_votes(record)


def describe_next(record: TaskRecord) -> str:
    """What the next worker does with a waiting task, in words: such as "review it"."""
    if result_to_review(record) is not None:
        return "review it"
    return "run it" if restriction_of(record) is None else "vote on it"


def describe_missing(record: TaskRecord) -> str:
    """What a task waited for in vain, in words that follow "nobody can"; "" for a plain attempt."""
    if result_to_review(record) is not None:
        return " review it"
    return "" if restriction_of(record) is None else f" vote: {describe_votes(record)}"


def describe_opinions(record: TaskRecord) -> list[str]:
    """The state of a task's review or votes, one line each."""
    if record.status.is_final:
        return []
    reviewed = result_to_review(record)
    if reviewed is not None:
        result = f"the result of attempt {reviewed.number} by {reviewed.worker.name}"
        running = open_attempts(record)
        if running:
            return [f"in review by {running[0].worker.name}: {result}"]
        return [f"{result} waits for a review"]
    if record.task.votes == 1 or not record.attempts:
        return []
    voting = ", ".join(each.worker.name for each in open_attempts(record))
    return [describe_votes(record) + (f"; voting now: {voting}" if voting else "")]


def describe_votes(record: TaskRecord) -> str:
    """The votes on a task in words, such as "2 of 3 votes, for 2 different answers"."""
    answers = count_votes(record).answers
    votes, asked = sum(answers), record.task.votes
    counted = f"{votes} of {asked} votes" if votes < asked else f"{votes} votes"
    if len(answers) < 2:  # noqa: PLR2004 - one answer, or none
        return counted
    return f"{counted}, for {len(answers)} different answers ({', '.join(map(str, answers))})"


def answer_key(output: Payload) -> bytes:
    """A short key that is equal for equal outputs.

    The order of the keys of a dict does not matter, and a float without a fraction equals the
    integer.
    """
    return hashlib.sha256(pack(_canonical(output))).digest()


def _canonical(value: object) -> Payload:
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _EXACT else value
    if isinstance(value, dict):
        items = cast("dict[Payload, Payload]", value).items()
        pairs = [(pack(_canonical(key)), _canonical(item)) for key, item in items]
        # A list of pairs in a list, so that it differs from any list of values.
        return {"": sorted(pairs, key=itemgetter(0))}
    if isinstance(value, list | tuple):
        return [_canonical(each) for each in cast("list[Payload]", value)]
    return value
