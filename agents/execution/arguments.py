"""The arguments and the output of a typed function: their checks, and their plain forms."""

from __future__ import annotations

import contextlib
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from inspect import Parameter
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, cast

from pydantic import ValidationError
from pydantic.errors import PydanticUndefinedAnnotation

from ...messages import EncodeError, InvalidInput, Payload, TaskResult, WrongCall, WrongOutput
from ...messages.declared_types import Reader, json_schema_of, reader_of
from ...messages.plain_data import to_plain
from ...messages.wording import show, summarize
from .parameters import (
    BY_POSITION,
    CONTEXT,
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

_UNCHECKED = (Parameter.empty, Any, object, NoReturn, getattr(typing, "Never", NoReturn))
"""What a function declares to return whose output is taken as it is."""

_MAX_TYPE_CHARACTERS = 60


class Arguments:
    """What a typed function takes and returns.

    The plain form of its arguments is a dict with an entry for each parameter that is given:
    `{"x": 1, "rest": [2, 3], "named": {"y": 4}}` for `def add(x, *rest, **named)`. Where the
    function takes any names, these may also stand beside the others: `{"x": 1, "y": 4}`.

    Args:
        function: the function.
        context_class: the class of contexts; the parameter that takes one is no argument.
        annotations: what its parameters are annotated with, by name, and "return"; None if the
            function tells it.

    Raises:
        InvalidInput: a type in its signature can't be made of plain data.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        context_class: type,
        annotations: Mapping[str, Any] | None = None,
    ) -> None:
        self.function = function
        self._context_class = context_class
        self._annotations = annotations
        self._named: dict[str, Parameter] = {}
        self._rest: Parameter | None = None
        self._others: Parameter | None = None
        self._all = self._parameters()
        self.context = _context_in(self._all, context_class)
        for each in self._all:
            if each is self.context:
                continue
            if each.kind is each.VAR_POSITIONAL:
                self._rest = each
            elif each.kind is each.VAR_KEYWORD:
                self._others = each
            else:
                self._named[each.name] = each
        self._known = frozenset(name for name, _ in self._by_name())
        self._required = tuple(
            name for name, each in self._named.items() if each.default is Parameter.empty
        )
        self._is_called_by_name = len(self._known) == len(self._named) and not any(
            each.kind is each.POSITIONAL_ONLY for each in self._all
        )
        self._returned = self._return_annotation()
        self._checks_output = not any(self._returned is each for each in _UNCHECKED)
        self._readers: dict[str, Reader] = {}
        self._declared: dict[str, Any] = {}
        self._is_ready = False
        self._make_readers(now=False)

    def __reduce__(self) -> tuple[Callable[..., Arguments], tuple[Any, ...]]:
        annotations = self._annotations
        if getattr(self.function, "__module__", None) == "__main__":
            # Where a function of a program's main module is pickled by value, its annotations lack
            # the names of that module.
            annotations = {each.name: each.annotation for each in self._all}
            annotations["return"] = self._returned
        return _unpickle, (self.function, self._context_class, annotations)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            unread = self.__dict__.pop("unread", None)
            if unread is None:
                raise AttributeError(name)
            self.__init__(*unread)
            return getattr(self, name)

    def _by_name(self) -> Iterator[tuple[str, Parameter]]:
        """The parameters without that of the context."""
        yield from self._named.items()
        yield from ((each.name, each) for each in (self._rest, self._others) if each is not None)

    def _parameters(self) -> tuple[Parameter, ...]:
        found = parameters_of(self.function) or ()
        told = self._annotations or {}
        return tuple(
            each.replace(annotation=told.get(each.name, each.annotation)) for each in found
        )

    def _return_annotation(self) -> Any:
        if self._annotations is not None:
            return self._annotations["return"]
        return return_annotation_of(self.function)

    @property
    def name(self) -> str:
        """The name of the function, as messages tell it."""
        return f"{name_of(self.function)}()"

    @property
    def signature(self) -> str:
        """The parameters as text, without the context: "x: int, y: int = 3"."""
        told = [_told(each) for each in self._all if each is not self.context]
        return ", ".join(told) or "no arguments"

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
            unit = "argument" if len(places) == 1 else "arguments"
            self._refuse(f"takes {len(places)} {unit} by position, not {len(by_position)}")
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
        self._refuse_others(others)
        if others and self._others is not None:
            given[self._others.name] = others
        return given

    # ------------------------------------------------------------------ where functions run

    def read(self, data: Payload) -> dict[str, Any]:
        """The arguments in a task's data, by parameter, as the declared types.

        Raises:
            WrongCall: the data are not arguments of the function; names each fault.
        """
        if not self._is_ready:
            self._make_readers(now=True)
        given = self._by_parameter(data)
        missing = [name for name in self._required if name not in given]
        if missing:
            self._refuse(f"needs {', '.join(map(repr, missing))}")
        faults: list[str] = []
        values: dict[str, Any] = {}
        for name, value in given.items():
            try:
                values[name] = self._readers[name](value)
            except ValidationError as fault:
                faults.append(summarize(fault, name))
        if faults:
            raise WrongCall(f"{self.name}: {'; '.join(faults)}")
        return values

    def _by_parameter(self, data: Payload) -> dict[str, Any]:
        if data is None:
            return {}
        given = _as_named(data)
        if given is None:
            self._refuse(f"gets its arguments by name, as an object, not {show(data)}")
        if self._others is None and given.keys() <= self._known:
            return given
        others = {name: given.pop(name) for name in [*given] if name not in self._known}
        if self._others is None:
            self._refuse_others(others)
        else:
            # A wrong value of the parameter itself is told with those of the others.
            beside = _as_named(given.get(self._others.name))
            self._refuse_others({**others, **(beside or {})})
            if others:
                given[self._others.name] = {**others, **(beside or {})}
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
        if self._is_called_by_name:
            return (), values
        rest: list[Any] = values.pop(self._rest.name, []) if self._rest else []
        by_name: dict[str, Any] = values.pop(self._others.name, {}) if self._others else {}
        places = [each for each in self._all if each.kind in BY_POSITION]
        # As far as arguments must be given by position; further ones are given by name.
        last = max(
            (
                index
                for index, each in enumerate(places)
                if rest or (each.kind is each.POSITIONAL_ONLY and each.name in values)
            ),
            default=-1,
        )
        by_position = [values.pop(each.name, each.default) for each in places[: last + 1]]
        return (*by_position, *rest), {**values, **by_name}

    def json_schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments in their plain form, for whoever writes them by hand."""
        if not self._is_ready:
            self._make_readers(now=True)
        properties: dict[str, Any] = {}
        shared: dict[str, Any] = {}
        for name, parameter in self._by_name():
            told = json_schema_of(self._declared[name])
            shared |= told.pop("$defs", {})
            if parameter.default is not Parameter.empty:
                with contextlib.suppress(EncodeError):
                    told["default"] = to_plain(parameter.default, name)
            properties[name] = told
        schema: dict[str, Any] = {
            "type": "object",
            "properties": properties,
            "required": [*self._required],
        }
        if self._others is None:
            schema["additionalProperties"] = False
        return {**schema, **({"$defs": shared} if shared else {})}

    # ------------------------------------------------------------------ output

    def plain_output(self, output: Any) -> Payload:
        """The plain form of what the function returned, if that is what it declares.

        Raises:
            WrongOutput: it is something else.
            EncodeError: it has no plain form.
        """
        if not self._checks_output or isinstance(output, TaskResult):
            return output
        plain = to_plain(output, "output")
        try:
            self.read_output(plain)
        except InvalidInput as fault:
            raise WrongOutput(
                f"{self.name} declares to return {_type_name(self._returned)}: {fault}"
            ) from None
        return plain

    def read_output(self, plain: Payload) -> Any:
        """An output as what the function declares to return.

        Raises:
            InvalidInput: it is something else.
        """
        if not self._checks_output:
            return plain
        if not self._is_ready:
            self._make_readers(now=True)
        try:
            return self._readers["return"](plain)
        except ValidationError as fault:
            raise InvalidInput(summarize(fault, "output")) from None

    # ------------------------------------------------------------------ types

    def _make_readers(self, *, now: bool) -> None:
        """Make what reads each argument and the output.

        Args:
            now: whether a class that is not defined yet is an error.

        Raises:
            InvalidInput: a type can't be made of plain data; names the parameter.
        """
        declared = {name: each.annotation for name, each in self._named.items()}
        for each, container in ((self._rest, list), (self._others, dict)):
            if each is not None:
                item = resolve(each.annotation, self.function)
                is_there = not (isinstance(item, str) or item is Parameter.empty)
                item = item if is_there else Any
                declared[each.name] = list[item] if container is list else dict[str, item]
        if self._checks_output:
            # No parameter can have this name.
            declared["return"] = self._returned
        made = [self._make_reader(name, each, now=now) for name, each in declared.items()]
        self._is_ready = all(made)

    def _make_reader(self, name: str, declared: Any, *, now: bool) -> bool:
        """Make one reader; False if a class is not defined yet."""
        if name in self._readers:
            return True
        declared = Any if declared is Parameter.empty else resolve(declared, self.function)
        what = "its output" if name == "return" else name
        if isinstance(declared, str):
            if not now:
                return False
            module = globals_of(self.function).get("__name__", "its module")
            raise InvalidInput(
                f"{self.name} declares {what} as {declared!r}, which {module} does not define; "
                "define or import it there, outside of `if TYPE_CHECKING`"
            )
        try:
            self._readers[name] = reader_of(declared)
            self._declared[name] = declared
        except InvalidInput as fault:
            if isinstance(fault.__cause__, PydanticUndefinedAnnotation) and not now:
                return False
            raise InvalidInput(f"{self.name}: {what}: {fault}") from None
        return True

    def _refuse_others(self, names: Iterable[str]) -> None:
        """Refuse names that are no parameters, and that of the context."""
        if self.context is not None and self.context.name in names:
            self._refuse(f"gets {self.context.name!r} from its worker")
        if names and self._others is None:
            self._refuse(f"has no parameter {', '.join(map(repr, names))}")

    def _refuse(self, problem: str) -> NoReturn:
        raise WrongCall(f"{self.name} {problem}; it takes {self.signature}")


def _unpickle(*made_of: Any) -> Arguments:
    """Make one whose function is read when it is first used: it may not be complete before."""
    arguments = Arguments.__new__(Arguments)
    arguments.__dict__["unread"] = made_of
    return arguments


def _context_in(parameters: Iterable[Parameter], context_class: type) -> Parameter | None:
    """The parameter for the context; one that is only called so may be an argument."""
    found = find_context(parameters, context_class)
    if found is None or is_context(found.annotation, context_class):
        return found
    return found if found.annotation is Parameter.empty and found.name == CONTEXT else None


def _as_named(value: Any) -> dict[str, Any] | None:
    """An object as a dict; None for anything else."""
    if not isinstance(value, Mapping):
        return None
    named = dict(cast("Mapping[Any, Any]", value))
    return named if all(isinstance(each, str) for each in named) else None


def _told(parameter: Parameter) -> str:
    stars = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    has_type = parameter.annotation is not Parameter.empty
    told = f"{stars}{parameter.name}"
    if has_type:
        told += f": {_type_name(parameter.annotation)}"
    if parameter.default is Parameter.empty:
        return told
    return (
        f"{told} = {show(parameter.default)}" if has_type else f"{told}={show(parameter.default)}"
    )


def _type_name(declared: Any) -> str:
    if isinstance(declared, str):
        return declared
    # Without the names of modules.
    told = re.sub(r"(?:\w+\.)+(\w)", r"\1", inspect.formatannotation(declared))
    return told if len(told) <= _MAX_TYPE_CHARACTERS else f"{told[:_MAX_TYPE_CHARACTERS]}…"
