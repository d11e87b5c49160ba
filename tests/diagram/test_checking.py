"""What a diagram claims of participants, order, messages and notes is held against the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.diagram import check_diagram, read_sequence
from muster.agents.kernel.model.occurrences import OccurrenceKind, PriorityFacts, ProgressFacts
from muster.messages import InvalidDiagram, InvalidTrace

TWO = """\
    participant TM
    participant Ada as Ada (skill 5)
    participant Ben
    Ada->>TM: Connect
    Ben->>TM: Connect
"""
END = """\
    par
        TM->>Ada: Shutdown
        TM->>Ben: Shutdown
    end
"""


@pytest.fixture
def holds() -> Callable[..., bool]:
    def check(steps: str, trace: Any) -> bool:
        return check_diagram(read_sequence(f"sequenceDiagram\n{TWO}{steps}\n{END}"), trace).holds

    return check


def a_run(make_run: Any, order: str) -> Any:
    """Ada does task 1 and Ben task 2: at a and b they begin, at A and B they are done."""
    make_run.join("Ada").join("Ben").task(1).task(2).then()
    for letter in order:
        worker, task = {"a": ("Ada", 1), "b": ("Ben", 2)}[letter.lower()]
        make_run.assign(task, worker) if letter.islower() else make_run.complete(task, worker)
        make_run.then()
    return make_run.end()


a, A = "TM->>Ada: TaskAssignment(T1)\n", "Ada->>TM: TaskResult(T1)\n"
b, B = "TM->>Ben: TaskAssignment(T2)\n", "Ben->>TM: TaskResult(T2)\n"


@pytest.mark.parametrize(
    ("steps", "right", "wrong"),
    [
        (a + b + A + B, ["abAB"], ["baAB", "abBA", "abA", "aAbB"]),
        (f"par\n{a}{b}{A}{B}end", ["abAB", "baBA", "ABab"], ["abA", "aAb"]),
        (f"par\n{a}{A}and\n{b}{B}end", ["aAbB", "abAB", "bBaA", "abBA"], ["AabB", "abBBA", "aA"]),
        (f"par\npar\n{a}{A}end\nand\n{b}{B}end", ["AabB", "bABa"], ["aABb"]),
        (f"loop\n{a}{A}end\n{b}{B}", ["aAbB", "aAaAaAbB"], ["bB", "aAabB"]),
        (f"loop\nalt\n{a}else\n{A}else\n{b}else\n{B}end\nend", ["abAB", "bBaA"], []),
        (f"alt\n{a}{A}else\n{b}{B}end", ["aA", "bB"], ["aAbB", "ab", ""]),
        (f"opt\n{a}{A}end\n{b}{B}", ["aAbB", "bB"], ["abB", "aAaAbB"]),
        (f"rect a\n{a}break\n{b}end\n{A}{b}{B}end", ["ab", "aAbB"], ["abAbB", "aA"]),
        (f"critical\n{a}option\n{b}option\n{A}end", ["a", "ab", "aA"], ["b", "abA", ""]),
        (f"rect rgb(1, 2, 3)\n{a}{A}end", ["aA"], ["Aa"]),
        (f"{a}Note over TM,Ben: … 2 more messages<br/>whatever\n{B}", ["abAB"], ["abB", "abABB"]),
    ],
)
def test_blocks_say_which_orders_there_may_be(
    steps: str,
    right: list[str],
    wrong: list[str],
    holds: Callable[..., bool],
    make_run: Any,
) -> None:
    for order in right:
        assert holds(steps, a_run(type(make_run)(), order)), order
    for order in wrong:
        assert not holds(steps, a_run(type(make_run)(), order)), order


def test_of_many_that_say_the_same_it_makes_no_difference_which_is_meant(make_run: Any) -> None:
    make_run.join("Ada").join("Ben")
    for task in range(1, 301):
        make_run.task(task, type="count").assign(task, "Ada")
    steps = "par\n" + "TM->>Ada: TaskAssignment(count)\n" * 300 + "end\n"
    verdict = check_diagram(read_sequence(f"sequenceDiagram\n{TWO}{steps}{END}"), make_run.end())
    assert verdict.mismatch is None


def test_what_can_be_read_in_too_many_ways_is_refused(make_run: Any) -> None:
    make_run.join("Ada").join("Ben")
    for task in range(1, 31):
        make_run.task(task, type="count", difficulty=3).assign(task, "Ada")
    some = [f"TM->>Ada: TaskAssignment(count, difficulty={'0' * n}3)\n" for n in range(30)]
    steps = "par\n" + "".join(some) + "end\n"
    with pytest.raises(InvalidDiagram, match=r"line \d+: .* more than 2,000 ways"):
        check_diagram(read_sequence(f"sequenceDiagram\n{TWO}{steps}{END}"), make_run.end())


def test_a_trace_with_gaps_is_held_against_nothing(make_run: Any) -> None:
    make_run.log.count_dropped({"task_assigned": 3})
    with pytest.raises(InvalidTrace, match="3 occurrences are missing from the trace"):
        check_diagram(read_sequence("sequenceDiagram"), make_run.end())


def mismatch(source: str, trace: Any, second_s: float | None = None) -> str:
    verdict = check_diagram(read_sequence(f"sequenceDiagram\n{source}"), trace, second_s)
    assert verdict.mismatch is not None
    return f"{verdict.mismatch.line}: {verdict.mismatch}"


def test_the_mismatch_says_what_the_diagram_and_the_run_have(make_run: Any) -> None:
    trace = a_run(make_run, "aA")
    assert mismatch(f"{TWO}TM->>Ben: TaskAssignment(T1)\n{A}{END}", trace) == (
        "7: the diagram says: task_manager to Ben: TaskAssignment(T1); the run had: task_manager "
        "to Ada: TaskAssignment(T1, difficulty=1), 1.000 s after the first message"
    )
    assert mismatch(f"{TWO}{a}{A}{b}{END}", trace).startswith(
        "9: the diagram says: task_manager to Ben: TaskAssignment(T2); the run had: task_manager"
    )
    assert mismatch(f"{TWO}{a}{A}TM->>Ada: Shutdown", trace) == (
        "9: the diagram says: nothing comes after this; the run had: task_manager to Ben: "
        "Shutdown, 3.000 s after the first message"
    )
    assert mismatch(f"{TWO}{a}{A}{END}TM->>Ada: Shutdown", trace) == (
        "13: the diagram says: task_manager to Ada: Shutdown; the run had: nothing more"
    )


@pytest.mark.parametrize(
    ("participants", "told"),
    [
        ("participant Ada\n", "1: the diagram says: there is no participant 'Ben'; the run had:"),
        ("participant Ada\nactor Zoe\n", "3: the diagram says: 'Zoe' takes part; the run had: the"),
        ("participant Ada\nparticipant A as Ada\n", "3: the diagram says: 'Ada' takes part twice"),
        (
            "participant Ben as Ben (skill 6, juggling)\n",
            "2: the diagram says: 'Ben (skill 6, juggling)' takes part; the run had: Ben (skill 6",
        ),
        ("participant Ben as Ben (2 slots)\n", "2: the diagram says: 'Ben (2 slots)' takes part;"),
    ],
)
def test_participants_must_be_the_runs(participants: str, told: str, make_run: Any) -> None:
    trace = make_run.join("Ada").join("Ben", 6, "reading", slots=3).end()
    assert mismatch(participants, trace).startswith(told)


def test_a_participant_is_known_by_label_or_id_and_described_rightly(make_run: Any) -> None:
    trace = make_run.join("Ada Ash").join("Ben", 6, "reading", slots=3).end()
    source = """sequenceDiagram
    participant TaskManager
    participant A as Ada Ash (skill=5)
    participant Ben as The second<br/>(skill 6, reading, 3 slots)
    A->>TaskManager: Connect
    Ben->>TaskManager: connect(skill=6)
    par
        TaskManager->>A: Stop
        TaskManager->>Ben: Shutdown
    end
    """
    assert check_diagram(read_sequence(source), trace).mismatch is None


def test_what_may_be_left_out_must_be_whole_if_it_is_shown(make_run: Any) -> None:
    make_run.join("Ada").join("Ben").task(1).task(2).assign(1, "Ada")
    half_way = ProgressFacts(50, "half way")
    make_run.happens(OccurrenceKind.TASK_PROGRESSED, 1, 1, "Ada", half_way).then()
    make_run.happens(OccurrenceKind.TASK_REPRIORITIZED, 2, 0, "", PriorityFacts(0, 7)).then()
    trace = make_run.complete(1, "Ada").end()
    head = f"sequenceDiagram\nparticipant Main\n{TWO}"
    head = head.replace("    Ada->>", "Main->>TM: AddTasks(T1, T2)\n    Ada->>")
    without = read_sequence(f"sequenceDiagram\n{TWO}{a}{A}{END}")
    assert check_diagram(without, trace).mismatch is None
    progress = "Ada->>TM: TaskProgress(T1, percent=50)\nMain->>TM: SetPriority(T2, priority=7)\n"
    # The run maker adds tasks after the workers have come.
    moved = head.replace("Main->>TM: AddTasks(T1, T2)\n", "") + "Main->>TM: AddTasks(T1, T2)\n"
    end = f"{END}TM->>Main: RunEnded"
    whole = read_sequence(f"{moved}{a}{progress}{A}{end}")
    assert check_diagram(whole, trace).mismatch is None
    for lie in (
        f"{moved}{a}{progress.replace('50', '60')}{A}{end}",
        f"{moved}{a}{progress.replace('=7', '=8')}{A}{end}",
        f"{moved.replace('T1, T2', 'T1')}{a}{progress}{A}{end}",
        f"{head}{a}{progress}{A}{end}",
    ):
        assert check_diagram(read_sequence(lie), trace).mismatch is not None


def test_asides_are_messages_like_others_if_any_is_shown(make_run: Any) -> None:
    trace = (
        make_run.join("Ada").join("Ben").then().aside("Hub", "Ada", "News: all  well").then().end()
    )
    assert check_diagram(read_sequence(f"sequenceDiagram\n{TWO}{END}"), trace).holds
    shown = f"sequenceDiagram\n{TWO}Hub->>Ada: News: all well\n{END}"
    assert check_diagram(read_sequence(shown), trace).mismatch is None
    assert not check_diagram(read_sequence(shown.replace("all well", "bad")), trace).holds
    twice = shown.replace("Hub->>", "Hub->>Ada: News: all well\nHub->>")
    assert not check_diagram(read_sequence(twice), trace).holds


@pytest.mark.parametrize(
    ("note", "right", "second_s"),
    [
        ("Note over TM: Success rate: 50%", True, None),
        ("Note over TM: Success rate: 50.0%", True, None),
        ("Note over TM: Success rate: 51%", False, None),
        ("Note over TM: success rate = 50 %<br/>Ada success_rate = 99%", False, None),
        ("Note over TM: Ada success_rate = 100%", True, None),
        ("Note over TM: Ben success_rate = 0%", True, None),
        ("Note over TM: Ben success_rate = 100%", False, None),
        ("Note over TM: Zoe success_rate = 100%", False, None),
        ("Note over TM: T1 completed", True, None),
        ("Note over TM: T1 failed", False, None),
        ("Note over TM: T2 failed: timed out: after 2 s", True, None),
        ("Note over TM: T2 failed: something else", False, None),
        ("Note over TM: everything else failed", True, None),
        ("Note over Ada: T1 takes 2 s", True, 1.0),
        ("Note over Ada: T1 takes 3 s", False, 1.0),
        ("Note over Ada: T1 takes 3 s", True, None),
        ("Note over Ada: T1 takes 20 s", True, 0.1),
        ("Note over Ada: Processing (2 s)", True, 1.0),
        ("Note over Ada: Processing T1 (2 s)", True, 1.0),
        ("Note over Ada: Processing T2 (2 s)", False, 1.0),
        ("Note over Ben: T2: 2 s, timed out", True, 1.0),
        ("Note over Ben: T2: 2 s, succeeded", False, None),
        ("Note over TM: T1 takes a while", True, 1.0),
    ],
)
def test_some_notes_are_claims(
    note: str, right: bool, second_s: float | None, make_run: Any
) -> None:
    make_run.join("Ada").join("Ben").task(1).task(2).assign(1, "Ada").assign(2, "Ben").then().then()
    make_run.complete(1, "Ada").then()
    make_run.at -= 1
    make_run.happens(OccurrenceKind.ATTEMPT_TIMED_OUT, 2, 1, "Ben", "timed out: after 2 s")
    trace = make_run.happens(OccurrenceKind.TASK_FAILED, 2, 1, "Ben", "timed out: after 2 s").end()
    cancel = "TM->>Ben: CancelTask(T2)\n"
    source = f"sequenceDiagram\n{TWO}{note}\n{a}{b}{A}{cancel}{END}"
    verdict = check_diagram(read_sequence(source), trace, second_s)
    assert verdict.holds is right, verdict.mismatch
    if verdict.mismatch is not None:
        assert verdict.mismatch.line == 7
