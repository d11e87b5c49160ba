"""What a worker calls equals the direct call, whatever the signature and the arguments."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from inspect import Parameter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from muster.agents import TaskContext
from muster.agents.execution.arguments import Arguments
from muster.agents.execution.typed_call import TypedCall
from muster.messages import Task

KINDS = {
    "int": st.integers(-(2**63), 2**64 - 1),
    "str": st.text(st.characters(codec="utf-8"), max_size=4),
    "bool": st.booleans(),
    "Decimal": st.decimals(allow_nan=False, allow_infinity=False, places=2),
    "list[int]": st.lists(st.integers(0, 9), max_size=3),
    "set[str]": st.sets(st.sampled_from("abc")),
    "dict[str, Decimal]": st.dictionaries(st.sampled_from("abc"), st.just(Decimal("1.5"))),
    "tuple[int, str] | None": st.none() | st.tuples(st.integers(0, 9), st.sampled_from("abc")),
}
NAMES = ["self", "task", "args", "kwargs", "function", "data", "x"]
CONTEXT: Any = object.__new__(TaskContext)


class Call:
    """A function, and arguments of it."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.seen: list[dict[str, Any]] = []
        names = draw(st.permutations(NAMES))[: draw(st.integers(0, 5))]
        splits = sorted(draw(st.tuples(*[st.integers(0, len(names))] * 2)))
        groups = names[: splits[0]], names[splits[0] : splits[1]], names[splits[1] :]
        kinds = {name: draw(st.sampled_from(list(KINDS))) for name in names}
        defaults = {name: draw(KINDS[kinds[name]]) for name in names if draw(st.booleans())}
        positional = groups[0] + groups[1]
        # After a parameter with a default, others by position need one, too.
        first = next((n for n, name in enumerate(positional) if name in defaults), len(names))
        for name in positional[first:]:
            defaults.setdefault(name, draw(KINDS[kinds[name]]))
        has_rest, has_named = draw(st.booleans()), draw(st.booleans())
        told = {
            name: f"{name}: {kinds[name]}" + (f" = defaults[{name!r}]" if name in defaults else "")
            for name in names
        }
        parts = [told[name] for name in groups[0]] + (["/"] if groups[0] else [])
        parts += [told[name] for name in groups[1]]
        context_at = draw(st.sampled_from(["nowhere", "first", "by name"]))
        by_name = [told[name] for name in groups[2]]
        if context_at == "first":
            parts.insert(0, "ctx: TaskContext")
        elif context_at == "by name":
            by_name.append("ctx: TaskContext | None = None")
        if has_rest:
            parts.append("*rest: int")
        elif by_name:
            parts.append("*")
        parts += by_name + (["**named: Decimal"] if has_named else [])
        scope = {"defaults": defaults, "Decimal": Decimal, "TaskContext": TaskContext, "see": self}
        exec(f"def function({', '.join(parts)}):\n    see.seen.append(locals())", scope)
        self.function: Callable[..., Any] = scope["function"]  # type: ignore[assignment]
        self.has_context = context_at != "nowhere"
        self.is_first = context_at == "first"
        self._draw_arguments(draw, groups, kinds, defaults, has_rest, has_named)

    def _draw_arguments(
        self,
        draw: st.DrawFn,
        groups: Any,
        kinds: dict[str, str],
        defaults: dict[str, Any],
        has_rest: bool,
        has_named: bool,
    ) -> None:
        self.by_position: list[Any] = []
        self.by_name: dict[str, Any] = {}
        places = [*groups[0], *groups[1]]
        required = [name for name in groups[0] if name not in defaults]
        count = draw(st.integers(len(required), len(places)))
        self.by_position = [draw(KINDS[kinds[name]]) for name in places[:count]]
        if has_rest and count == len(places):
            self.by_position += draw(st.lists(st.integers(0, 9), max_size=3))
        for name in [*places[count:], *groups[2]]:
            if name not in groups[0] and (name not in defaults or draw(st.booleans())):
                self.by_name[name] = draw(KINDS[kinds[name]])
        if has_named:
            # A parameter by position leaves its name free.
            free = ["other", "rest", "named", *groups[0]]
            chosen = draw(st.sets(st.sampled_from(free)))
            self.by_name |= {name: Decimal("2.5") for name in chosen}


@given(st.composite(Call)())
def test_what_a_worker_calls_equals_the_direct_call(call: Call) -> None:
    arguments = Arguments(call.function, TaskContext)
    data = arguments.to_data(call.by_position, call.by_name)
    TypedCall(arguments)(Task(type="function", data=data), CONTEXT if call.has_context else None)
    context = {"ctx": CONTEXT} if call.has_context and not call.is_first else {}
    first = [CONTEXT] if call.is_first else []
    call.function(*first, *call.by_position, **call.by_name, **context)
    called, expected = call.seen
    assert called == expected
    assert [type(value) for value in called.values()] == [
        type(value) for value in expected.values()
    ]
    assert Parameter.empty not in called.values()
