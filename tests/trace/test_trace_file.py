"""A trace's file holds what the trace does; what is damaged or foreign is named with its line."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents import TaskManager, WorkerAgent, rehearse, run_in_virtual_time
from muster.agents.kernel.model.occurrences import FACTS_OF, Occurrence, OccurrenceKind
from muster.agents.kernel.trace import RunFacts, SideMessage, TaskFacts
from muster.agents.trace.file import TraceFile, read_trace_file
from muster.agents.trace.lines import LineWriter, read_line
from muster.messages import InvalidInput, InvalidTrace, Task, WorkerProfile
from muster.scenarios.priorities import Priorities
from muster.scenarios.specialists import Specialists
from muster.scenarios.timeout import Timeout


@pytest.mark.parametrize(
    "story", [Specialists, Priorities, Timeout], ids=lambda story: story.name()
)
def test_what_is_read_is_what_was_traced(
    story: Any, trace_to_sinks: Callable[..., Any], tmp_path: Path
) -> None:
    file = TraceFile(tmp_path / "trace.jsonl")
    traced = trace_to_sinks(story(), file)
    file.close()
    read = read_trace_file(tmp_path / "trace.jsonl")
    assert read.trace == traced
    assert read.warnings == ()


def test_a_manager_writes_its_trace_and_closes_it_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"

    async def go() -> None:
        tasks = [Task(id="a b", description="Täsk\nof two lines", difficulty=2)]
        await rehearse(TaskManager(tasks, 1, quiet=True, trace=path), [WorkerAgent("Ada", 5)])

    run_in_virtual_time(go())
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert lines[0] == {"muster_trace": 1, "manager": "task_manager"}
    assert lines[1] == {
        "task": "a b",
        "description": "Täsk\nof two lines",
        "difficulty": 2,
        "priority": 0,
        "timeout_s": 4.0,
    }
    assert [line["what"] for line in lines if "what" in line] == [
        "task_added",
        "worker_joined",
        "assigning_begun",
        "task_assigned",
        "task_completed",
        "run_ended",
    ]
    assert not [each for each in threading.enumerate() if each.name == "muster-trace"]


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_trace_that_is_cut_off_is_read_up_to_there_with_a_warning(
    cut: int, trace_to_sinks: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "trace.jsonl"
    file = TraceFile(path)
    traced = trace_to_sinks(Specialists(), file)
    file.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    read = read_trace_file(path)
    assert read.trace.occurrences == traced.occurrences[:-1]
    count = whole.count(b"\n")
    assert read.warnings == (
        f"{path}:{count}: the trace is cut off in the middle of this line; it was read up to here",
    )


@given(st.integers(0, 2000))
def test_a_trace_may_be_cut_off_anywhere(cut: int) -> None:
    lines = LineWriter()
    entries = [
        RunFacts("boss"),
        *(Occurrence(float(n), OccurrenceKind.TASK_ADDED, n) for n in range(1, 30)),
    ]
    whole = "".join(lines.line_of(entry) + "\n" for entry in entries).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", lambda *_: __import__("io").BytesIO(whole[:cut]))
        try:
            read = read_trace_file("cut.jsonl")
        except InvalidTrace:
            assert cut < len(lines.line_of(entries[0])) + 1
        else:
            complete = whole[:cut].count(b"\n")
            assert read.trace.occurrences == tuple(entries[1:complete])


HEAD = '{"muster_trace":1,"manager":"boss"}\n'


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "{path}:1: the file is empty; it is not a trace: its first line must be"),
        ('{"id": 1, "description": "a task"}\n', "{path}:1: task: "),
        ("id,description\n", "{path}:1: it is not JSON: Expecting value"),
        ('{"muster_trace":2,"manager":"boss"}\n', "{path}:1: muster_trace: 2: Input should be 1"),
        ('{"at":1,"what":"run_ended"}\n', "{path}:1: it is not a trace: its first line must be"),
        ('{"muster_trace":1,"man', "{path}:1: it is not a trace: its first line must be"),
        (HEAD + "[1, 2]\n", "{path}:2: it is a list, not an object"),
        (HEAD + "{}\n", "{path}:2: it has none of the fields that identify an entry"),
        (
            HEAD + '{"at":NaN,"what":"run_ended"}\n',
            "{path}:2: it is not JSON: NaN is not a JSON number",
        ),
        (
            HEAD + '{"at":1e999,"what":"run_ended"}\n',
            "{path}:2: it is not JSON: the number 1e999 is too large at column 7",
        ),
        (HEAD + '{"at":1,"what":"tea_break"}\n', "{path}:2: what: 'tea_break': Input should be"),
        (HEAD + '{"at":1,"what":"run_ended","x":1}\n', "{path}:2: x: 1: Extra inputs are not"),
        (
            HEAD + '{"at":1,"what":"task_added","task":-3}\n',
            "{path}:2: task: -3: must be an integer above 0",
        ),
        (HEAD + '{"worker":"Ada","skill":"good"}\n', "{path}:2: skill: 'good': Input should be"),
        (HEAD + "\n", "{path}:2: it is not JSON"),
        (HEAD + HEAD, "{path}:2: another trace begins here; a file must contain one run"),
        (HEAD + "[" * 100_000 + "\n", "{path}:2: it is not JSON"),
        (
            HEAD + '"' + "x" * 1_000_001 + '"\n',
            "{path}:2: it has 1,000,001 characters, at most 1,000,000",
        ),
    ],
    ids=range(18),
)
def test_what_is_damaged_or_foreign_is_named_with_its_line(
    content: str, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "foreign.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidTrace) as caught:
        read_trace_file(path)
    assert str(caught.value).startswith(problem.format(path=path))


def test_bytes_that_are_no_text_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "foreign.jsonl"
    path.write_bytes(HEAD.encode() + b'{"at":1,"what":"\xff"}\n')
    with pytest.raises(InvalidTrace, match=r":2: it is not UTF-8 text: invalid start byte at byte"):
        read_trace_file(path)


def test_a_file_that_is_not_there_or_can_not_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidTrace, match="can't be read: No such file or directory"):
        read_trace_file(tmp_path / "nothing.jsonl")
    with pytest.raises(InvalidInput, match=r"can't be written to .*: No such file or directory"):
        TraceFile(tmp_path / "no folder" / "trace.jsonl")
    with pytest.raises(InvalidInput, match=r"can't be written to .*: Is a directory"):
        TaskManager(port=0, trace=tmp_path)


def test_what_does_not_fit_is_counted_and_the_count_is_written(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    file = TraceFile(path, max_waiting=10)
    # The thread sleeps at first; while it does nothing is taken out.
    for number in range(1, 51):
        file.note(Occurrence(1.0, OccurrenceKind.TASK_ADDED, number))
    file.close()
    lines = path.read_text(encoding="utf-8").splitlines()
    told = sum("what" in line for line in lines)
    assert json.loads(lines[-1]) == {"dropped": {"task_added": 50 - told}}
    assert told >= 10
    path.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    read = read_trace_file(path)
    assert read.trace.dropped == {"task_added": 50 - told}
    assert read.warnings == (
        f"{path}: {50 - told} occurrences are missing from the middle of the trace",
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_ends_the_trace_and_not_the_run(
    trace_to_sinks: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    file = TraceFile("/dev/full")
    trace = trace_to_sinks(Specialists(), file)
    file.close()
    assert trace.occurrences[-1].what is OccurrenceKind.RUN_ENDED
    assert "the trace can't be written any more" in caplog.text


IDS = st.one_of(st.integers(1, 2**63 - 1), st.text(min_size=1, max_size=20).filter(str.strip))
NAMES = st.text(max_size=20)
MOMENTS = st.floats(allow_nan=False, allow_infinity=False)


def entries_of(kind: Any, *fields: Any) -> Any:
    return st.tuples(*fields).map(lambda each: kind(*each))


TEXTS = st.text()
VALUES = {
    bool: st.booleans(),
    int: st.integers(-99, 99),
    float: MOMENTS,
    float | None: st.none() | MOMENTS,
    str: TEXTS,
    str | None: st.none() | TEXTS,
}


def facts_of(what: OccurrenceKind) -> Any:
    """Nothing, or what an occurrence of a kind may tell beside."""
    if what not in FACTS_OF:
        return st.none() | st.text(min_size=50)
    fields = get_type_hints(FACTS_OF[what])
    values = {
        name: VALUES[kind] if kind in VALUES else st.sampled_from(kind)
        for name, kind in fields.items()
    }
    return st.none() | st.builds(FACTS_OF[what], **values)


ENTRIES = st.one_of(
    st.sampled_from(OccurrenceKind).flatmap(
        lambda what: entries_of(
            Occurrence, MOMENTS, st.just(what), IDS, st.integers(0, 100), NAMES, facts_of(what)
        )
    ),
    st.sampled_from(OccurrenceKind).flatmap(
        lambda what: entries_of(
            Occurrence, MOMENTS, st.just(what), st.none(), st.just(0), NAMES, facts_of(what)
        )
    ),
    entries_of(SideMessage, MOMENTS, NAMES, NAMES, TEXTS),
    entries_of(
        TaskFacts,
        IDS,
        st.text(min_size=1),
        st.integers(1, 10),
        NAMES,
        st.integers(-5, 5),
        st.none() | st.floats(0.1, 100),
        st.lists(IDS).map(tuple),
        st.none() | IDS,
        st.dictionaries(NAMES, st.floats(0, 1_000), max_size=3),
        st.booleans(),
        st.none() | st.floats(0.1, 100),
        st.lists(NAMES, max_size=3).map(tuple),
        st.booleans(),
        st.sampled_from([1, 3]),
    ),
    entries_of(
        WorkerProfile,
        NAMES.filter(str.strip),
        st.integers(0, 9),
        st.lists(NAMES).map(tuple),
        st.integers(1, 9),
    ),
    entries_of(RunFacts, NAMES),
)


@given(st.lists(ENTRIES))
def test_an_entry_is_read_as_it_was_written(entries: list[Any]) -> None:
    writer = LineWriter()
    for entry in entries:
        line = writer.line_of(entry)
        assert "\n" not in line
        assert read_line(line) == entry
        assert type(read_line(line)) is type(entry)


@given(st.text() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_garbage_only_raises_the_typed_error(line: str) -> None:
    with pytest.raises(InvalidTrace):
        read_line(line)
