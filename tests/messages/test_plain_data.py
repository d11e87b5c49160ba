"""Values travel in their plain form, and are what they were again where their type is declared."""

from __future__ import annotations

import datetime as dt
import json
import math
import subprocess
import sys
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, IntEnum, IntFlag
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple, Optional
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.report.json_value import to_json_value
from muster.messages import (
    EncodeError,
    InvalidInput,
    Task,
    TaskAssignment,
    TaskResult,
    decode_message,
    encode_message,
    from_plain,
    to_plain,
)
from muster.messages.codec import decode_task, encode_task
from pydantic import (
    AnyUrl,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    ValidationError,
    computed_field,
    field_serializer,
)
from typing_extensions import TypedDict

numpy = pytest.importorskip("numpy")

ZONE = dt.timezone(dt.timedelta(hours=2))


class Color(Enum):
    GREEN = "green"
    BLACK = 2


class Size(str, Enum):
    SMALL = "s"


class Level(IntEnum):
    HIGH = 7


class Access(IntFlag):
    READ = 4
    WRITE = 2


class Pair(NamedTuple):
    left: int
    right: Decimal


class Named(TypedDict):
    name: str
    at: dt.date


@dataclass
class Leaf:
    weight: Decimal
    picked: dt.date = dt.date(2026, 5, 1)
    tags: set[str] = field(default_factory=set)
    length: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.length = len(self.tags)


class Garden(BaseModel):
    name: str
    leaves: list[Leaf] = []
    color: Color = Color.GREEN
    where: Optional[Path] = None  # noqa: UP045
    opened: dt.datetime = Field(default=dt.datetime(2026, 1, 1), alias="openedAt")  # noqa: DTZ001
    cache: int = Field(default=3, exclude=True)

    @computed_field
    def count(self) -> int:
        return len(self.leaves)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    ids: frozenset[UUID]


class Names(RootModel[list[str]]):
    pass


class Serialized(BaseModel):
    seconds: dt.timedelta

    @field_serializer("seconds")
    def _in_seconds(self, value: dt.timedelta) -> float:
        return value.total_seconds()


ID = UUID("12345678-1234-5678-1234-567812345678")
LEAF = Leaf(Decimal("1.10"), tags={"b", "a"})
LEAF_PLAIN = {"weight": "1.10", "picked": "2026-05-01", "tags": ["a", "b"]}
MOMENT = dt.datetime(2026, 5, 1, 12, 30, 1, 5, tzinfo=ZONE)

FORMS: list[tuple[Any, Any, Any]] = [
    # value, declared type, plain form
    (None, None, None),
    (True, bool, True),
    (7, int, 7),
    (-(2**63), int, -(2**63)),
    (1.5, float, 1.5),
    (math.inf, float, math.inf),
    ("täe", str, "täe"),
    (b"\x00\xff", bytes, b"\x00\xff"),
    (bytearray(b"ab"), bytes, b"ab"),
    ((1, "a"), tuple[int, str], [1, "a"]),
    ((Decimal(1), Decimal(2)), tuple[Decimal, ...], ["1", "2"]),
    ({3, 1, 2}, set[int], [1, 2, 3]),
    (frozenset({"b", "a"}), frozenset[str], ["a", "b"]),
    ({1, "a"}, set[int | str], [1, "a"]),
    (deque([1]), deque[int], [1]),
    (OrderedDict(a=1), dict[str, int], {"a": 1}),
    (Counter("aab"), dict[str, int], {"a": 2, "b": 1}),
    (MappingProxyType({"a": 1}), dict[str, int], {"a": 1}),
    (Decimal("0.1"), Decimal, "0.1"),
    (Decimal(2**70), Decimal, str(2**70)),
    (ID, UUID, str(ID)),
    (Path("a/b"), Path, "a/b"),
    (PurePosixPath("/a"), PurePosixPath, "/a"),
    (IPv4Address("127.0.0.1"), IPv4Address, "127.0.0.1"),
    (AnyUrl("https://a.example/b"), AnyUrl, "https://a.example/b"),
    (dt.date(2026, 5, 1), dt.date, "2026-05-01"),
    (dt.time(12, 30, 0, 5), dt.time, "12:30:00.000005"),
    (dt.time(12, 30, tzinfo=ZONE), dt.time, "12:30:00+02:00"),
    (dt.datetime(2026, 5, 1), dt.datetime, "2026-05-01T00:00:00"),  # noqa: DTZ001
    (MOMENT, dt.datetime, MOMENT),
    (dt.timedelta(days=1, hours=2), dt.timedelta, "P1DT2H"),
    (dt.timedelta(microseconds=-1), dt.timedelta, "-PT0.000001S"),
    (Color.GREEN, Color, "green"),
    (Color.BLACK, Color, 2),
    (Size.SMALL, Size, "s"),
    (Level.HIGH, Level, 7),
    (Access.READ | Access.WRITE, Access, 6),
    (Pair(1, Decimal("2.5")), Pair, [1, "2.5"]),
    ({"name": "a", "at": dt.date(2026, 1, 1)}, Named, {"name": "a", "at": "2026-01-01"}),
    ({ID: {Color.BLACK: dt.date(2026, 1, 1)}}, dict[UUID, dict[Color, dt.date]], None),
    ({dt.date(2026, 1, 1): 1, 5: 2}, dict[dt.date | int, int], None),
    (LEAF, Leaf, LEAF_PLAIN),
    ([LEAF, LEAF], list[Leaf], [LEAF_PLAIN, LEAF_PLAIN]),
    (LEAF, Leaf | None, LEAF_PLAIN),
    (
        Garden(name="g", leaves=[LEAF], where=Path("x")),
        Garden,
        {
            "name": "g",
            "leaves": [LEAF_PLAIN],
            "color": "green",
            "where": "x",
            "openedAt": "2026-01-01T00:00:00",
        },
    ),
    (Strict(ids=frozenset({ID})), Strict, {"ids": [str(ID)]}),
    (Names(["a"]), Names, ["a"]),
    (Serialized(seconds=dt.timedelta(minutes=1)), Serialized, {"seconds": 60.0}),
    (numpy.int8(3), numpy.int8, 3),
    (numpy.uint64(2**64 - 1), numpy.uint64, 2**64 - 1),
    (numpy.float32(0.1), numpy.float32, float(numpy.float32(0.1))),
    (numpy.float64(0.5), float, 0.5),
    (numpy.bool_(True), numpy.bool_, True),
    (numpy.str_("a"), numpy.str_, "a"),
    (numpy.datetime64("2026-05-01T12:00", "ns"), numpy.datetime64, None),
    (numpy.timedelta64(5, "m"), numpy.timedelta64, None),
    (numpy.complex64(1 + 2j), numpy.complex64, None),
]
ARRAYS = [
    numpy.arange(6, dtype="<f4").reshape(2, 3),
    numpy.arange(6, dtype=">i2").reshape(2, 3).T,
    numpy.zeros((0, 3), dtype=bool),
    numpy.array(5),
    numpy.array([1 + 2j, math.nan]),
    numpy.array(["a", "täe"]),
    numpy.array(["2026-05-01"], dtype="M8[D]"),
    numpy.ones((3, 4))[::2, 1:],
]


def over_the_wire(value: Any) -> tuple[Any, ...]:
    """A value as data, output and inputs, each once encoded and decoded."""
    task = Task(1, "d", data=value)
    result = TaskResult(task_id=1, worker="Ada", success=True, output=value)
    assignment = TaskAssignment(task=task, inputs={2: value}, reviewed=result)
    arrived: Any = decode_message(encode_message(assignment))
    alone: Any = decode_message(encode_message(result))
    stored = decode_task(encode_task(task))
    return (
        arrived.task.data,
        arrived.inputs[2],
        arrived.reviewed.output,
        alone.output,
        stored.data,
    )


# Not by the values: the order of a set differs between the processes that share the tests.
@pytest.mark.parametrize(
    ("value", "declared", "form"), FORMS, ids=[f"{place}" for place in range(len(FORMS))]
)
def test_a_value_travels_plainly_and_comes_back_as_what_it_was(
    value: Any, declared: Any, form: Any
) -> None:
    plain = to_plain(value)
    if form is not None:
        assert plain == form
        assert type(plain) is type(form)
    for arrived in over_the_wire(value):
        assert arrived == plain
        again = from_plain(arrived, declared)
        assert again == value
        assert type(again) is type(value) or declared in (bytes, float, dict[str, int])
    assert Task(1, "d", data=plain).data_as(declared) == from_plain(plain, declared)
    result = TaskResult(task_id=1, worker="Ada", success=True, output=plain)
    assert result.output_as(declared) == from_plain(plain, declared)
    # JSON has the same form, and so do what it is made of.
    shown = json.dumps(to_json_value(value), allow_nan=False)
    assert shown == json.dumps(to_json_value(plain))
    assert "object at 0x" not in shown


@pytest.mark.parametrize("array", ARRAYS, ids=lambda each: f"{each.dtype} {each.shape}")
def test_an_array_keeps_its_dtype_shape_and_bytes(array: Any) -> None:
    for arrived in over_the_wire({"picture": array}):
        form = arrived["picture"]
        assert form == {
            "dtype": array.dtype.str,
            "shape": list(array.shape),
            "data": array.tobytes(),
        }
        again = from_plain(form, numpy.ndarray)
        assert (again.dtype, again.shape) == (array.dtype, array.shape)
        assert again.tobytes() == array.tobytes()
        assert again.flags.writeable
        from_json = from_plain(json.loads(json.dumps(to_json_value(form))), numpy.ndarray)
        assert from_json.tobytes() == array.tobytes()


def test_arrays_are_read_inside_other_types_and_from_lists() -> None:
    from numpy.typing import NDArray

    class Framed(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        frame: numpy.ndarray  # type: ignore[name-defined]
        scale: Decimal = Decimal(1)

    array = numpy.arange(3, dtype="u1")
    plain = to_plain({"a": [array]})
    assert from_plain(plain, dict[str, list[numpy.ndarray]])["a"][0].tolist() == [0, 1, 2]
    framed = from_plain(to_plain(Framed(frame=array, scale=Decimal(2))), Framed)
    assert framed.frame.dtype == array.dtype
    assert framed.scale == Decimal(2)
    assert from_plain([[1, 2], [3, 4]], NDArray[numpy.float32]).dtype == numpy.float32
    assert from_plain(None, NDArray[numpy.float32] | None) is None
    for wrong in (
        "text",
        {"dtype": "<f8", "shape": [3], "data": b"12"},
        {"dtype": "<f8", "shape": [1], "data": 5},
        {"dtype": "<f8", "shape": [1], "data": {"$other": ""}},
        {"dtype": "<f8", "shape": [1], "data": {"$base64": "?"}},
        {"dtype": "no such", "shape": [1], "data": b""},
        {"dtype": "<f8", "shape": "x", "data": b""},
        {"dtype": "<f8", "shape": [-1], "data": b"12345678"},
        {"dtype": "<f8", "shape": [10**9, 10**9], "data": b""},
        [[1], [2, 3]],
        [object()],
    ):
        with pytest.raises(InvalidInput):
            from_plain(wrong, NDArray[numpy.float32])
    for dtype in ("O", "V8"):
        with pytest.raises(InvalidInput):
            from_plain({"dtype": dtype, "shape": [1], "data": b"12345678"}, numpy.ndarray)


@pytest.mark.parametrize(
    "array",
    [
        numpy.array([object()]),
        numpy.zeros(2, dtype=[("a", int)]),
        numpy.ma.array([1, 2], mask=[True, False]),
    ],
    ids=["objects", "records", "masked"],
)
def test_an_array_of_what_is_no_number_is_refused_with_its_place(array: Any) -> None:
    with pytest.raises(EncodeError, match=r"^output.rows\[0\]: it is an? (array of|masked)"):
        to_plain({"rows": [array]}, "output")


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(),
        st.text(),
        st.binary(),
        st.decimals(),
        st.uuids(),
        st.dates(),
        st.times(),
        st.timedeltas(),
        st.datetimes(),
        st.datetimes(
            min_value=dt.datetime(2, 1, 1),  # noqa: DTZ001
            max_value=dt.datetime(9998, 1, 1),  # noqa: DTZ001
            timezones=st.timezones(),
        ),
        st.sampled_from(Color),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(st.text() | st.integers(-9, 9) | st.uuids(), inner, max_size=4),
    ),
    max_leaves=20,
)


@given(VALUES)
def test_whatever_has_a_plain_form_arrives_as_that_form(value: Any) -> None:
    plain = to_plain(value)
    # NaN differs from itself, but not its text.
    assert all(repr(_in_utc(arrived)) == repr(_in_utc(plain)) for arrived in over_the_wire(value))
    assert repr(to_plain(plain)) == repr(plain)
    json.dumps(to_json_value(value), allow_nan=False)


def _in_utc(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.timezone.utc)
    if isinstance(value, list):
        return [_in_utc(each) for each in value]
    if isinstance(value, dict):
        return {key: _in_utc(each) for key, each in value.items()}
    return value


@given(st.timedeltas() | st.decimals(allow_nan=False, allow_infinity=False) | st.times())
def test_durations_decimals_and_times_are_exact(value: Any) -> None:
    assert from_plain(to_plain(value), type(value)) == value


def test_what_is_not_of_its_type_is_refused_with_place_and_rule() -> None:
    class Opaque: ...

    for value, declared, words in [
        ({"weight": "x"}, Leaf, r"^Leaf: weight: 'x': .*decimal"),
        ([{"weight": 1}, {}], list[Leaf], r"1\.weight: .* (required|Missing)"),
        ("2026-13-01", dt.date, r"^date: '2026-13-01': "),
        (5, Opaque, "type .*Opaque can't be made of plain data"),
    ]:
        with pytest.raises(InvalidInput, match=words):
            from_plain(value, declared)


def test_plain_data_are_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muster.messages.codec.to_plain", None)
    over_the_wire({"rows": [[1, "a", b"b", None, 1.5, MOMENT, Size.SMALL]] * 100})


def test_a_class_of_tasks_declares_the_types_of_its_fields() -> None:
    class Weighing(Task):
        data: Leaf
        garden: Optional[Garden] = None  # noqa: UP045
        limit: Decimal = Decimal("0.5")

    task = Weighing(1, "d", data=LEAF, garden=Garden(name="g", leaves=[LEAF]), limit=Decimal(2))
    again = decode_task(encode_task(task))
    arrived: Any = decode_message(encode_message(TaskAssignment(task=task)))
    assert again == arrived.task == task
    assert type(again.data) is Leaf
    # Its default values are part of it.
    with pytest.raises(ValidationError, match=r"data\.weight"):
        Weighing(1, "d", data={})


def test_equal_tasks_have_equal_bytes_whether_plain_or_not() -> None:
    rich = Task(1, "d", type="weigh", data=LEAF, priority=5, max_attempts=2)
    plain = Task(1, "d", type="weigh", data=to_plain(LEAF), priority=5, max_attempts=2)
    assert encode_task(rich) == encode_task(plain)
    long = {str(number): LEAF for number in range(100)}
    assert encode_task(Task(1, "d", data=long)) == encode_task(Task(1, "d", data=to_plain(long)))


def test_numpy_is_not_imported_for_it() -> None:
    code = (
        "import sys; from muster.messages import to_plain, from_plain; import uuid\n"
        "from_plain(to_plain({'a': {uuid.uuid4()}}), dict[str, set[uuid.UUID]])\n"
        "assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
