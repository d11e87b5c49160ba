"""The arguments and the output of a typed function: their checks, and their plain forms."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from inspect import Parameter
from typing import Any, NoReturn, TypeAlias, cast

from pydantic import ValidationError

from ...messages import InvalidInput, Payload, TaskResult, WrongCall, WrongOutput
from ...messages.declared_types import Reader, reader_of
from ...messages.plain_data import to_plain
from ...messages.wording import show, summarize
from .parameters import (
    BY_POSITION,
    CONTEXT,
    VARIADIC,
    find_context,
    globals_of,
    is_context,
    name_of,
    parameters_of,
    resolve,
    return_annotation_of,
)

Given: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]
"""Arguments by position and by name."""

_UNCHECKED = (Parameter.empty, Any, object)


class Arguments:
    """What a typed function takes and returns.

    The plain form of its arguments is a dict with an entry for each parameter that is given:
    `{"x": 1, "rest": [2, 3], "named": {"y": 4}}` for `def add(x, *rest, **named)`. Where the
    function takes any names, these may also stand beside the others: `{"x": 1, "y": 4}`.

    Args:
        function: the function.
        context_class: the class of contexts; the parameter that takes one is no argument.

    Raises:
        InvalidInput: a type in its signature can't be made of plain data.
    """

    def __init__(self, function: Callable[..., Any], context_class: type) -> None:
        self._function = function
        parameters = parameters_of(function) or ()
        self.context = _context_in(parameters, context_class)
        self._all = tuple(parameters)
        self._named: dict[str, Parameter] = {}
        self._rest: Parameter | None = None
        self._others: Parameter | None = None
        for each in parameters:
            if each is self.context:
                continue
            if each.kind is each.VAR_POSITIONAL:
                self._rest = each
            elif each.kind is each.VAR_KEYWORD:
                self._others = each
            else:
                self._named[each.name] = each
        self._readers: dict[str, Reader] = {}
        self._returned = return_annotation_of(function)
        self._output_reader: Reader | None = None
        self._check_types()

    @property
    def name(self) -> str:
        """The name of the function, as messages tell it."""
        return f"{name_of(self._function)}()"

    @property
    def signature(self) -> str:
        """The parameters as text, without the context: "x: int, y: int = 3"."""
        told = [each.replace(annotation=each.annotation) for each in self._all]
        told = [each for each in told if self.context is None or each.name != self.context.name]
        return ", ".join(_told(each) for each in told) or "no arguments"

    # ------------------------------------------------------------------ where tasks are made

    def to_data(self, by_position: Sequence[object], by_name: Mapping[str, object]) -> Payload:
        """The plain form of arguments, which is the data of a task; None if there are none.

        Raises:
            WrongCall: they are not those of the function; names each.
            EncodeError: one has no plain form.
        """
        given = self._assign(by_position, by_name)
        data = {name: to_plain(value, name) for name, value in given.items()}
        self.read(data)
        return data or None

    def _assign(
        self, by_position: Sequence[object], by_name: Mapping[str, object]
    ) -> dict[str, Any]:
        """Assign arguments to parameters, as Python does in a call."""
        places = [each.name for each in self._named.values() if each.kind in BY_POSITION]
        given: dict[str, Any] = dict(zip(places, by_position, strict=False))
        rest = by_position[len(places) :]
        if rest and self._rest is None:
            self._refuse(f"takes {_count(len(places), 'argument')} by position, not {_n(by_position)}")
        if rest and self._rest is not None:
            given[self._rest.name] = list(rest)
        others: dict[str, object] = {}
        for name, value in by_name.items():
            parameter = self._named.get(name)
            if parameter is None or (
                parameter.kind is parameter.POSITIONAL_ONLY and self._others is not None
            ):
                others[name] = value
            elif parameter.kind is parameter.POSITIONAL_ONLY:
                self._refuse(f"takes {name!r} by position only")
            elif name in given:
                self._refuse(f"got {name!r} twice, by position and by name")
            else:
                given[name] = value
        if others and self._others is None:
            self._refuse(self._no_such(others))
        if others and self._others is not None:
            given[self._others.name] = others
        return given

    # ------------------------------------------------------------------ where functions run

    def read(self, data: Payload) -> dict[str, Any]:
        """The arguments in a task's data, by parameter, as the declared types.

        Raises:
            WrongCall: the data are not arguments of the function; names each fault.
        """
        given = self._by_parameter(data)
        missing = [
            name
            for name, each in self._named.items()
            if name not in given and each.default is Parameter.empty
        ]
        if missing:
            self._refuse(f"needs {', '.join(map(repr, missing))}")
        faults: list[str] = []
        values: dict[str, Any] = {}
        for name, value in given.items():
            try:
                values[name] = self._reader_of(name)(value)
            except ValidationError as fault:
                faults.append(summarize(fault, name))
        if faults:
            raise WrongCall(f"{self.name}: {'; '.join(faults)}")
        return values

    def _by_parameter(self, data: Payload) -> dict[str, Any]:
        if data is None:
            return {}
        if not isinstance(data, Mapping) or not all(isinstance(each, str) for each in data):
            self._refuse(f"gets its arguments by name, as an object, not {show(data)}")
        given = dict(cast("Mapping[str, Any]", data))
        known = {*self._named, *(each.name for each in (self._rest, self._others) if each)}
        others = {name: given.pop(name) for name in [*given] if name not in known}
        if others and self._others is None:
            self._refuse(self._no_such(others))
        if others and self._others is not None:
            beside = given.get(self._others.name, {})
            if not isinstance(beside, Mapping):
                self._refuse(f"takes any names, and {self._others.name!r} is none of them")
            given[self._others.name] = {**others, **beside}
        return given

    def place(self, values: Mapping[str, Any], context: object | None) -> Given:
        """What to call the function with.

        Args:
            values: the arguments by parameter, as `read` returns them.
            context: the context; None leaves its parameter to its default.
        """
        values = dict(values)
        if self.context is not None and context is not None:
            values[self.context.name] = context
        rest: list[Any] = values.pop(self._rest.name, []) if self._rest else []
        by_name: dict[str, Any] = values.pop(self._others.name, {}) if self._others else {}
        by_position: list[Any] = []
        places = [each for each in self._all if each.kind in BY_POSITION]
        last = max(
            (
                index
                for index, each in enumerate(places)
                if rest or (each.kind is each.POSITIONAL_ONLY and each.name in values)
            ),
            default=-1,
        )
        for each in places[: last + 1]:
            by_position.append(values.pop(each.name, each.default))
        return (*by_position, *rest), {**values, **by_name}

    # ------------------------------------------------------------------ output

    def plain_output(self, output: Any) -> Payload:
        """The plain form of what the function returned, if that is what it declares.

        Raises:
            WrongOutput: it is something else.
            EncodeError: it has no plain form.
        """
        if self._returned in _UNCHECKED or isinstance(output, TaskResult):
            return output
        plain = to_plain(output, "output")
        try:
            self.read_output(plain)
        except InvalidInput as fault:
            raise WrongOutput(
                f"{self.name} declares to return {_type_name(self._returned)}, and returned "
                f"{show(output)}: {fault}"
            ) from None
        return plain

    def read_output(self, plain: Payload) -> Any:
        """An output as what the function declares to return.

        Raises:
            InvalidInput: it is something else.
        """
        if self._returned in _UNCHECKED:
            return plain
        if self._output_reader is None:
            self._output_reader = self._make_reader(self._returned, "its output")
        try:
            return self._output_reader(plain)
        except ValidationError as fault:
            raise InvalidInput(summarize(fault, "output")) from None

    # ------------------------------------------------------------------ types

    def _check_types(self) -> None:
        """Make the readers now, if all types are there, so that a wrong one is told at once."""
        for name, each in self._by_name():
            if not isinstance(each.annotation, str):
                self._reader_of(name)
        declared = self._returned
        if declared not in _UNCHECKED and not isinstance(declared, str):
            self._output_reader = self._make_reader(declared, "its output")

    def _by_name(self) -> Iterator[tuple[str, Parameter]]:
        yield from self._named.items()
        yield from ((each.name, each) for each in (self._rest, self._others) if each is not None)

    def _reader_of(self, name: str) -> Reader:
        reader = self._readers.get(name)
        if reader is None:
            parameter = dict(self._by_name())[name]
            declared = resolve(parameter.annotation, self._function)
            declared = Any if declared is Parameter.empty else declared
            if parameter is self._rest:
                declared = list[declared]
            elif parameter is self._others:
                declared = dict[str, declared]
            reader = self._readers[name] = self._make_reader(declared, name)
        return reader

    def _make_reader(self, declared: Any, what: str) -> Reader:
        declared = resolve(declared, self._function)
        if isinstance(declared, str):
            module = globals_of(self._function).get("__name__", "its module")
            raise InvalidInput(
                f"{self.name} declares {what} as {declared!r}, which {module} does not define; "
                "import or define it there, outside of `if TYPE_CHECKING`"
            )
        try:
            return reader_of(declared)
        except InvalidInput as fault:
            raise InvalidInput(f"{self.name}: {what}: {fault}") from None

    def _no_such(self, names: Iterable[str]) -> str:
        return f"has no parameter {', '.join(map(repr, names))}"

    def _refuse(self, problem: str) -> NoReturn:
        raise WrongCall(f"{self.name} {problem}; it takes {self.signature}")


def _context_in(parameters: Iterable[Parameter], context_class: type) -> Parameter | None:
    """The parameter for the context; one that is only called so may be an argument."""
    found = find_context(parameters, context_class)
    if found is None or is_context(found.annotation, context_class):
        return found
    return found if found.annotation is Parameter.empty and found.name == CONTEXT else None
