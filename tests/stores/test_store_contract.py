"""The contract of every store."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from muster.agents.kernel.board.rows import LearnedRow, Rows, ScheduleRow, TaskRow, WorkerRow
from muster.messages import StoreUnusable, TaskId, TaskStatus

from .conftest import KINDS, in_jet_stream, task_row

LARGEST_ID = 2**63 - 1


def test_nothing_is_kept_at_first(place) -> None:
    assert place.open().load() == Rows(None, (), ())


def test_rows_come_back_exactly(place) -> None:
    everything = bytes(range(256))
    rows = Rows(
        everything,
        (
            TaskRow(1, 0, TaskStatus.PENDING, everything, b""),
            TaskRow("fetch\0 ☂ 茶", 1, TaskStatus.FAILED, b"", everything),
            TaskRow(LARGEST_ID, 2, TaskStatus.COMPLETED, b"\0", b"\xff" * 100_000),
        ),
        (WorkerRow("Ada", everything), WorkerRow("Ben ☂", b"")),
    )
    store = place.open()
    store.write(rows)
    assert store.load() == rows


def test_what_is_absent_is_not_what_is_empty(place) -> None:
    store = place.open()
    assert store.load().run is None
    store.write(Rows(run=b""))
    assert store.load().run == b""


def test_an_integer_and_a_text_of_the_same_digits_are_two_tasks(place) -> None:
    rows = (task_row(1, 0, b"integer"), task_row("1", 1, b"text"), task_row("1.0", 2, b"decimal"))
    store = place.open()
    store.write(Rows(tasks=rows))
    store.write(Rows(tasks=(task_row("1", 1, b"text changed", definition=None),)))
    assert [(row.task_id, row.state) for row in store.load().tasks] == [
        (1, b"integer"),
        ("1", b"text changed"),
        ("1.0", b"decimal"),
    ]


def test_tasks_come_in_the_order_of_their_adding(place) -> None:
    store = place.open()
    store.write(Rows(tasks=(task_row("b", 1), task_row("c", 300))))
    store.write(Rows(tasks=(task_row("d", 2), task_row("a", 0))))
    assert [row.task_id for row in store.load().tasks] == ["a", "b", "d", "c"]


def test_workers_come_in_the_order_of_their_first_writing(place) -> None:
    store = place.open()
    store.write(Rows(workers=(WorkerRow("Zoe", b"1"), WorkerRow("Ada", b"1"))))
    store.write(Rows(workers=(WorkerRow("Mia", b"1"), WorkerRow("Zoe", b"2"))))
    assert store.load().workers == (
        WorkerRow("Zoe", b"2"),
        WorkerRow("Ada", b"1"),
        WorkerRow("Mia", b"1"),
    )


def test_what_policies_have_learned_comes_back_by_policy_and_part(place) -> None:
    store = place.open()
    everything = bytes(range(256))
    store.write(
        Rows(
            learned=(
                LearnedRow("mine", "", b""),
                LearnedRow("adaptive", "Zoe \0 ☂", everything),
                LearnedRow("adaptive", "Ada", b"1"),
            )
        )
    )
    store.write(Rows(learned=(LearnedRow("adaptive", "Ada", b"2"), LearnedRow("mine", "", None))))
    store.write(Rows(learned=(LearnedRow("never", "there", None),)))
    store.close()
    assert place.read().learned == (
        LearnedRow("adaptive", "Ada", b"2"),
        LearnedRow("adaptive", "Zoe \0 ☂", everything),
    )


def test_a_row_replaces_the_earlier_one(place) -> None:
    store = place.open()
    store.write(Rows(b"first", (task_row(7, 0, b"first"), task_row(8, 1, b"other"))))
    later = TaskRow(7, 0, TaskStatus.COMPLETED, b"defined anew", b"second")
    store.write(Rows(b"second", (later,)))
    assert store.load() == Rows(b"second", (later, task_row(8, 1, b"other")))


def test_the_last_of_two_rows_of_one_task_counts(place) -> None:
    store = place.open()
    store.write(Rows(tasks=(task_row(7, 0, b"first"), task_row(7, 0, b"last", definition=None))))
    assert store.load().tasks == (task_row(7, 0, b"last"),)


def test_a_row_without_its_definition_keeps_the_one_that_was_written(place) -> None:
    store = place.open()
    store.write(Rows(tasks=(task_row("t", 0, definition=b"as it was added"),)))
    later = task_row("t", 0, b"2", definition=None, status=TaskStatus.IN_PROGRESS)
    store.write(Rows(tasks=(later,)))
    assert store.load().tasks == (later._replace(definition=b"as it was added"),)


def test_what_a_write_leaves_out_stays(place) -> None:
    store = place.open()
    rows = Rows(b"run", (task_row(1, 0),), (WorkerRow("Ada", b"here"),))
    store.write(rows)
    store.write(Rows())
    assert store.load() == rows


def test_the_rows_of_forgotten_tasks_go_before_others_are_written(place) -> None:
    store = place.open()
    store.write(Rows(tasks=(task_row(1, 0), task_row("1", 1))))
    store.write(Rows(tasks=(task_row(1, 2, b"new"),), forgotten=(1, "1", "never there")))
    assert store.load() == Rows(tasks=(task_row(1, 2, b"new"),))
    with pytest.raises(StoreUnusable, match="no definition"):
        store.write(Rows(tasks=(task_row(1, 2, definition=None),), forgotten=(1,)))
    assert store.load() == Rows(tasks=(task_row(1, 2, b"new"),))


def test_of_a_batch_that_cannot_be_kept_nothing_is_kept(place) -> None:
    store = place.open()
    before = Rows(b"run", (task_row(1, 0),), (WorkerRow("Ada", b"here"),))
    store.write(before)
    undefined = task_row(3, 2, definition=None)
    batch = (task_row(1, 0, b"changed"), task_row(2, 1), undefined)
    with pytest.raises(StoreUnusable, match="no definition"):
        store.write(Rows(b"changed", batch, (WorkerRow("Ben", b"new"),)))
    assert store.load() == before
    store.write(Rows(tasks=(task_row(2, 1),)))
    assert [row.task_id for row in store.load().tasks] == [1, 2]


def test_a_later_store_finds_what_a_former_one_wrote(place) -> None:
    first = place.open()
    rows = Rows(b"run", (task_row(1, 0),), (WorkerRow("Ada", b"here"),))
    first.write(rows)
    first.close()
    second = place.open()
    assert second.load() == rows
    second.write(Rows(b"run goes on"))
    assert second.load() == rows._replace(run=b"run goes on")


def test_a_place_is_held_by_one_store_at_a_time(place) -> None:
    first = place.open()
    with pytest.raises(StoreUnusable, match="held by"):
        place.open()
    first.write(Rows(b"goes on"))
    assert first.load().run == b"goes on"
    first.close()
    assert place.open().load().run == b"goes on"


def test_a_closed_store_refuses(place) -> None:
    store = place.open()
    store.close()
    with pytest.raises(StoreUnusable, match="is closed"):
        store.write(Rows(b"late"))
    with pytest.raises(StoreUnusable, match="is closed"):
        store.load()
    assert place.open().load() == Rows()


def test_closing_twice_takes_the_place_from_nobody(place) -> None:
    first = place.open()
    first.close()
    second = place.open()
    first.close()
    second.write(Rows(b"still mine"))
    with pytest.raises(StoreUnusable, match="held by"):
        place.open()


def test_whoever_reads_needs_not_hold_it(place) -> None:
    store = place.open()
    store.write(Rows(b"run", (task_row(1, 0),)))
    assert place.read() == store.load()
    store.close()
    assert place.read() == Rows(b"run", (task_row(1, 0),))


def test_each_call_may_come_from_another_thread(place) -> None:
    store = place.open()
    for number in range(3):
        rows = Rows(tasks=(task_row(number + 1, number),))
        thread = threading.Thread(target=store.write, args=(rows,))
        thread.start()
        thread.join()
    closing = threading.Thread(target=store.close)
    closing.start()
    closing.join()
    assert [row.task_id for row in place.open().load().tasks] == [1, 2, 3]


def test_a_large_batch_is_kept(place) -> None:
    rows = tuple(task_row(number + 1, number, b"%d" % number * 30) for number in range(20_000))
    store = place.open()
    store.write(Rows(tasks=rows))
    store.close()
    assert place.open().load().tasks == rows


@pytest.mark.parametrize("count", [31, 32, 33, 64, 97])
def test_any_number_of_rows_comes_back_each_with_its_status(place, count) -> None:
    rows = tuple(
        task_row(number + 1, number, b"%d" % number, status=list(TaskStatus)[number % 5])
        for number in range(count)
    )
    store = place.open()
    store.write(Rows(tasks=rows))
    assert store.load().tasks == rows
    again = tuple(row._replace(definition=None, status=TaskStatus.FAILED) for row in rows)
    # Each comes twice, and the second counts.
    store.write(Rows(tasks=tuple(each for row in again for each in (rows[row.sequence], row))))
    assert [row.status for row in store.load().tasks] == [TaskStatus.FAILED] * count
    assert [row.state for row in store.load().tasks] == [row.state for row in rows]


def test_of_a_large_batch_that_cannot_be_kept_nothing_is_kept(place) -> None:
    store = place.open()
    before = Rows(tasks=tuple(task_row(number, number) for number in range(100)))
    store.write(before)
    batch = [task_row(number, number, b"changed", definition=None) for number in range(120)]
    with pytest.raises(StoreUnusable, match="no definition"):
        store.write(Rows(tasks=tuple(batch)))
    assert store.load() == before


IDS: list[TaskId] = [1, "1", 2, "a", "A", "é", LARGEST_ID, str(LARGEST_ID)]
a_state = st.binary(max_size=20)


@dataclass
class Model:
    """What a store keeps, as dicts."""

    run: bytes | None = None
    tasks: dict[TaskId, TaskRow] = field(default_factory=dict)
    workers: dict[str, WorkerRow] = field(default_factory=dict)
    learned: dict[tuple[str, str], LearnedRow] = field(default_factory=dict)

    schedules: dict[str, ScheduleRow] = field(default_factory=dict)

    def write(self, rows: Rows) -> None:
        self.run = self.run if rows.run is None else rows.run
        for task_id in rows.forgotten:
            self.tasks.pop(task_id, None)
        for row in rows.tasks:
            definition = row.definition
            if definition is None:
                definition = self.tasks[row.task_id].definition
            self.tasks[row.task_id] = row._replace(definition=definition)
        for worker in rows.workers:
            self.workers[worker.name] = worker
        for learned in rows.learned:
            self.learned[learned.policy, learned.part] = learned
        self.schedules.update((row.name, row) for row in rows.schedules)

    def load(self) -> Rows:
        tasks = tuple(self.tasks[each] for each in IDS if each in self.tasks)
        kept = sorted(each for each in self.learned.values() if each.state is not None)
        schedules = sorted(each for each in self.schedules.values() if each.state is not None)
        workers = tuple(self.workers.values())
        return Rows(self.run, tasks, workers, learned=tuple(kept), schedules=tuple(schedules))


@st.composite
def some_writes(draw: st.DrawFn) -> list[Rows | None]:
    """Writes as a manager makes them: a definition first, later only what changed; None reopens."""
    defined: set[TaskId] = set()
    writes: list[Rows | None] = []
    for _ in range(draw(st.integers(1, 8))):
        if draw(st.integers(0, 4)) == 0:
            writes.append(None)
        tasks: list[TaskRow] = []
        forgotten = draw(st.lists(st.sampled_from(IDS), max_size=2))
        defined.difference_update(forgotten)
        for task_id in draw(st.lists(st.sampled_from(IDS), max_size=5)):
            is_new = task_id not in defined or draw(st.booleans())
            defined.add(task_id)
            definition = draw(a_state) if is_new else None
            status = draw(st.sampled_from(TaskStatus))
            tasks.append(TaskRow(task_id, IDS.index(task_id), status, definition, draw(a_state)))
        workers = draw(st.lists(st.builds(WorkerRow, st.sampled_from("ABCD"), a_state), max_size=3))
        a_part = st.builds(
            LearnedRow, st.sampled_from("pq"), st.sampled_from("AB"), st.none() | a_state
        )
        learned = draw(st.lists(a_part, max_size=3))
        a_schedule = st.builds(ScheduleRow, st.sampled_from(("x", "y ☂")), st.none() | a_state)
        schedules = draw(st.lists(a_schedule, max_size=2))
        run = draw(st.none() | a_state)
        rows = Rows(run, tuple(tasks), tuple(workers), tuple(forgotten))
        writes.append(rows._replace(learned=tuple(learned), schedules=tuple(schedules)))
    return writes


@pytest.mark.parametrize(
    "kind",
    # Each example opens stores several times.
    [
        *KINDS[:-1],
        pytest.param(in_jet_stream, id="in_jet_stream", marks=[pytest.mark.nats, pytest.mark.slow]),
    ],
)
@given(writes=some_writes())
@settings(deadline=None, max_examples=25)
def test_after_any_writes_a_store_loads_what_dicts_would_hold(kind, writes) -> None:
    model = Model()
    with TemporaryDirectory() as folder:
        place = kind(Path(folder))
        store = place.open()
        for rows in writes:
            if rows is None:
                store.close()
                store = place.open()
            else:
                store.write(rows)
                model.write(rows)
            assert store.load() == model.load()
        store.close()
        assert place.read() == model.load()
