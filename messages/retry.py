"""`Retry`: which failed attempts at a task are followed by another, and after which wait."""

from __future__ import annotations

from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from .record import Record
from .rule import Rule
from .times import WaitSeconds

MAX_ATTEMPTS = 100
MAX_FACTOR = 1_000
MAX_PATTERNS = 100
MAX_PATTERN_CHARACTERS = 200

_ErrorPatterns = Annotated[
    tuple[
        Annotated[
            str,
            # A kind that is not blank, and after a colon a detail that is not blank.
            StringConstraints(
                pattern=r"^\s*[^\s:][^:]*(:[\s\S]*\S[\s\S]*)?$", max_length=MAX_PATTERN_CHARACTERS
            ),
        ],
        ...,
    ],
    Field(max_length=MAX_PATTERNS),
    Rule(
        "must be a list of patterns, each a kind of error such as 'ConnectionError', or a kind and "
        f"a detail such as 'HTTPStatusError:5*'; {MAX_PATTERNS} at most, of "
        f"{MAX_PATTERN_CHARACTERS} characters at most"
    ),
]


class Retry(Record):
    """Which failed attempts at a task are followed by another, and after which wait.

    After the first failure the task waits `wait_s` seconds, after each further one `factor` times
    as long, but never longer than `max_wait_s`. `jitter` spreads these waits, so that tasks that
    failed together are not tried again together.

    An error matches a pattern of `on` and `unless` by its kind, as "ConnectionError" or "*Timeout",
    or by its kind and its detail, as "HTTPStatusError:5*". `*`, `?` and `[...]` are those of shell
    patterns; letter case matters. The kind of an error is the class of the exception; other kinds
    are "timed out" and "rejected".

    Args:
        max_attempts: the maximum number of attempts, 1 to 100. An attempt that ended because its
            worker was lost does not count.
        wait_s: how long the task waits after the first failure, in seconds, 0 to `max_wait_s`.
        factor: by how much each further wait is longer, 1 to 1,000.
        max_wait_s: the longest wait in seconds.
        jitter: by which share a wait may be longer or shorter, 0 to 1. Which one it is follows from
            the task's id and the number of its failures, so it is the same after a restart.
        on: only failures with these errors are followed by another attempt; empty for all.
        unless: failures with these errors are not.
        same_worker: whether the next attempt goes to the worker at which the last one failed, while
            that is connected and gets tasks. By default it goes to another worker if one can run
            the task.

    Raises:
        pydantic.ValidationError: a field is invalid; names the field, the value and the rule.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_attempts: int = Field(default=5, ge=1, le=MAX_ATTEMPTS)
    wait_s: WaitSeconds = 1.0
    factor: Annotated[
        float,
        Field(ge=1, le=MAX_FACTOR, allow_inf_nan=False),
        Rule(f"must be from 1 (each wait is as long as the first) to {MAX_FACTOR:,}"),
    ] = 2.0
    max_wait_s: WaitSeconds = 60.0
    jitter: Annotated[
        float,
        Field(ge=0, le=1, allow_inf_nan=False),
        Rule("must be from 0 (no jitter) to 1 (up to twice as long, or no wait)"),
    ] = 0.1
    on: _ErrorPatterns = ()
    unless: _ErrorPatterns = ()
    same_worker: bool = False

    @model_validator(mode="after")
    def _check_waits(self) -> Retry:
        if self.wait_s > self.max_wait_s:
            raise ValueError(
                f"wait_s is {self.wait_s:g}, above max_wait_s, which is {self.max_wait_s:g}; "
                "lower wait_s or raise max_wait_s"
            )
        return self

    def covers(self, error: str) -> bool:
        """Whether a failure is followed by another attempt, if one is left.

        Args:
            error: the error message, as "kind: detail".
        """
        kind, _, detail = error.partition(": ")
        if any(_matches(pattern, kind, detail) for pattern in self.unless):
            return False
        return not self.on or any(_matches(pattern, kind, detail) for pattern in self.on)

    def wait_after(self, failures: int, task_id: int | str) -> float:
        """How long a task waits before its next attempt, in seconds.

        Args:
            failures: how many of its attempts have failed, 1 or more.
            task_id: the task's id, from which the jitter follows.
        """
        grown = self.factor ** min(failures - 1, MAX_ATTEMPTS)
        longest_s = min(self.wait_s * grown, self.max_wait_s)
        spread = self.jitter * (2.0 * _share_of(f"{task_id!r} {failures}") - 1.0)
        return min(longest_s * (1.0 + spread), self.max_wait_s)


def _matches(pattern: str, kind: str, detail: str) -> bool:
    of_kind, colon, of_detail = pattern.partition(":")
    if not fnmatchcase(kind.strip(), of_kind.strip()):
        return False
    return not colon or fnmatchcase(detail.strip(), of_detail.strip())


def _share_of(text: str) -> float:
    """A number from 0 to below 1 that differs from text to text, without any order."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48
