"""The facts of occurrences are typed; their words are made at the edge and never read back."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import muster.agents
import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.kernel.model.occurrence_text import (
    describe_facts,
    facts_from_values,
    read_older_detail,
)
from muster.agents.kernel.model.occurrences import (
    FACTS_OF,
    AnswerFacts,
    BudgetFacts,
    CancellationCause,
    CancellationFacts,
    ChargeFacts,
    DeclineFacts,
    DelayFacts,
    Facts,
    FailureCause,
    FailureFacts,
    HeldSlotFacts,
    JoinFacts,
    Occurrence,
    OccurrenceKind,
    PriorityFacts,
    ProgressFacts,
    QuarantineFacts,
    QuestionFacts,
    RequeueCause,
    RequeueFacts,
    RetryFacts,
    ReturnFacts,
    ReviewFacts,
)
from muster.messages import TaskStatus
from muster.messages.values import pack_scalars, unpack

AGENTS = Path(muster.agents.__file__).parent
K = OccurrenceKind

WORDS: list[tuple[OccurrenceKind, Facts | str | None, str]] = [
    (K.TASK_PROGRESSED, ProgressFacts(40), "40 %"),
    (K.TASK_PROGRESSED, ProgressFacts(12.5, "line 4: verse"), "12.5 %: line 4: verse"),
    (K.TASK_PROGRESSED, "its hold was renewed", "its hold was renewed"),
    (K.TASK_REPRIORITIZED, PriorityFacts(-1, 7), "from -1 to 7"),
    (K.TASK_REQUEUED, RequeueFacts(RequeueCause.RETRY, 2), "attempts left: 2"),
    (K.TASK_REQUEUED, RequeueFacts(RequeueCause.REASSIGNED), "to another worker"),
    (K.TASK_REQUEUED, RequeueFacts(RequeueCause.WORKER_LOST), "worker lost: Ada"),
    (
        K.TASK_REQUEUED,
        RequeueFacts(RequeueCause.ATTEMPT_LOST),
        "attempt lost: Ada does not hold it",
    ),
    (K.TASK_REQUEUED, RequeueFacts(RequeueCause.GIVEN_BACK), "given back, not begun"),
    (K.ATTEMPT_FAILED, FailureFacts(FailureCause.HANDLER, "ValueError: no"), "ValueError: no"),
    (
        K.ATTEMPT_TIMED_OUT,
        FailureFacts(FailureCause.TIMED_OUT, "timed out: after 2 s"),
        "timed out: after 2 s",
    ),
    (
        K.TASK_FAILED,
        FailureFacts(FailureCause.LOST, "worker lost: 3 times, last on Ada"),
        "worker lost: 3 times, last on Ada",
    ),
    (
        K.TASK_FAILED,
        FailureFacts(FailureCause.UNMATCHED, "nobody can: needs skill 9"),
        "nobody can: needs skill 9",
    ),
    (
        K.TASK_FAILED,
        FailureFacts(FailureCause.EXPIRED, "expired: it had not begun"),
        "expired: it had not begun",
    ),
    (
        K.TASK_CANCELLED,
        CancellationFacts(CancellationCause.REQUESTED, "by the user"),
        "cancelled: by the user",
    ),
    (
        K.TASK_CANCELLED,
        CancellationFacts(CancellationCause.UPSTREAM, "dependency: task 1 failed"),
        "dependency: task 1 failed",
    ),
    (
        K.SLOT_HELD,
        HeldSlotFacts(65, "it timed out"),
        "task 3 (attempt 2) still holds a slot, 65 s after it timed out",
    ),
    (K.WORKER_JOINED, JoinFacts(5, 2), "skill 5, 2 slots"),
    (K.WORKER_RETURNED, ReturnFacts(4), "holds 4 of its tasks"),
    (K.WORKER_QUARANTINED, QuarantineFacts(3, 0.5), "failed 3 times in a row; for 0.5 s"),
    (K.WORKER_RELEASED, None, "its quarantine is over"),
    (K.WORKER_RETIRED, None, "not needed any more"),
    (K.WORKER_LOST, "silent for 10 s", "silent for 10 s"),
    (K.RESULT_IGNORED, "came twice", "came twice"),
    (K.TASK_ADDED, None, ""),
]

NEWER_WORDS: list[tuple[OccurrenceKind, Facts | str | None, str]] = [
    (K.QUESTION_ASKED, QuestionFacts(1, "Publish?"), "Publish?"),
    (K.QUESTION_ANSWERED, AnswerFacts(1, "yes", "Ada"), "'yes' by Ada"),
    (K.QUESTION_EXPIRED, AnswerFacts(1, None), "nobody answered in time"),
    (
        K.QUESTION_EXPIRED,
        AnswerFacts(1, "no"),
        "nobody answered in time; the default is 'no'",
    ),
    (K.ATTEMPT_DECLINED, DeclineFacts("needs a vision model"), "needs a vision model"),
    (K.ATTEMPT_REVIEWED, ReviewFacts(1, 0.25, "too dark"), "attempt 1 graded 0.25: too dark"),
    (K.ATTEMPT_REVIEWED, ReviewFacts(3, None), "attempt 3 accepted"),
    (
        K.ATTEMPT_REJECTED,
        FailureFacts(FailureCause.REJECTED, "rejected: by Ben: too dark"),
        "rejected: by Ben: too dark",
    ),
    (K.TASK_REQUEUED, RequeueFacts(RequeueCause.DECLINED), "declined: Ada"),
    (K.TASK_DELAYED, DelayFacts(90.0, "its not_before"), "until 00:01:30 UTC (its not_before)"),
    (K.ATTEMPT_REVIEWED, ReviewFacts(1, 0.7, "good"), "attempt 1 graded 0.7: good"),
    (K.ATTEMPT_REJECTED, FailureFacts(FailureCause.HANDLER, "rejected: no"), "rejected: no"),
    (K.ATTEMPT_CHARGED, ChargeFacts(0.5, "USD", is_counted=True), "0.5 USD"),
    (
        K.ATTEMPT_CHARGED,
        ChargeFacts(0.5, "EUR", is_counted=False),
        "0.5 EUR, not counted: another unit",
    ),
    (K.TASK_RETRIED, RetryFacts(TaskStatus.FAILED, "by the user"), "by the user"),
    (K.BUDGET_CHANGED, BudgetFacts(None, 5, "USD"), "from no limit to 5 USD"),
    (
        K.TASK_FAILED,
        FailureFacts(FailureCause.BUDGET, "budget: it is spent"),
        "budget: it is spent",
    ),
]
"""What no version kept in words alone."""


@pytest.mark.parametrize(("what", "facts", "words"), [*WORDS, *NEWER_WORDS], ids=str)
def test_facts_have_the_words_that_they_always_had(
    what: OccurrenceKind, facts: Facts | str | None, words: str
) -> None:
    assert describe_facts(Occurrence(1.0, what, 3, 2, "Ada", facts)) == words


@pytest.mark.parametrize(("what", "facts", "words"), WORDS, ids=str)
def test_what_older_versions_kept_in_words_is_read_as_facts(
    what: OccurrenceKind, facts: Facts | str | None, words: str
) -> None:
    assert read_older_detail(what, words) == facts
    assert facts_from_values(what, words) == facts


@pytest.mark.parametrize(("what", "facts", "words"), [*WORDS, *NEWER_WORDS], ids=str)
def test_facts_survive_a_store(what: OccurrenceKind, facts: Facts | str | None, words: str) -> None:
    kept = unpack(pack_scalars(facts))
    read = facts_from_values(what, kept)
    assert read == facts
    assert type(read) is type(facts)


def test_each_kind_with_typed_facts_stands_in_the_table_above() -> None:
    shown = {(what, type(facts)) for what, facts, _ in (*WORDS, *NEWER_WORDS)}
    assert {(what, kind) for what, kind in FACTS_OF.items()} <= shown


@given(st.sampled_from(OccurrenceKind), st.text())
def test_any_words_of_an_older_version_are_kept(what: OccurrenceKind, words: str) -> None:
    facts = read_older_detail(what, words)
    if isinstance(facts, str | FailureFacts | CancellationFacts):
        assert describe_facts(Occurrence(1.0, what, 3, 2, "Ada", facts)) == words


@pytest.mark.parametrize("values", [7, {}, ["nonsense"], [1, 2, 3, 4], [[]]], ids=str)
@pytest.mark.parametrize("what", [K.TASK_REQUEUED, K.TASK_ADDED])
def test_facts_that_are_none_are_refused(what: OccurrenceKind, values: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        facts_from_values(what, values)


PARSING = {
    "startswith",
    "endswith",
    "partition",
    "rpartition",
    "split",
    "removeprefix",
    "removesuffix",
    "find",
    "index",
}


def _readers_of_words(source: Path) -> Iterator[str]:
    """Where a module looks into the words of an occurrence."""
    tree = ast.parse(source.read_text(encoding="utf-8"))

    def is_words(node: ast.AST) -> bool:
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if is_call and node.func.id == "describe_facts":  # type: ignore[attr-defined]
            return True
        return isinstance(node, ast.Name) and node.id in names

    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and is_words(node.value):
            names |= {each.id for each in node.targets if isinstance(each, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in PARSING and is_words(node.value):
            yield f"{source.name}:{node.lineno}"
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re."):
            yield from (f"{source.name}:{node.lineno}" for each in node.args if is_words(each))
        if isinstance(node, ast.Name) and node.id == "read_older_detail":
            yield f"{source.name}:{node.lineno}"


def test_no_module_reads_the_words_back_but_where_older_files_are_read() -> None:
    readers = [
        found.partition(":")[0]
        for source in sorted(AGENTS.rglob("*.py"))
        for found in _readers_of_words(source)
    ]
    assert set(readers) <= {"lines.py", "occurrence_text.py"}
