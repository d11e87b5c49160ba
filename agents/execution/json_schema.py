"""Checks the arguments of a task against a JSON schema that came from elsewhere.

Such a schema is foreign: it is read within bounds, no pattern of it is run, and nothing that it
refers to is fetched. What is not checked here is left to whoever made the schema, so that no
argument is refused that the schema allows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, cast

from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

from ...messages import InvalidInput, Payload, WrongCall
from ...messages.wording import show, summarize

MAX_NODES = 2_000
MAX_DEPTH = 32
"""How much of a schema is read, with what it refers to; what is beyond allows anything."""

MAX_SHOWN_CHARACTERS = 300
_LARGEST = 2**62
"""Limits beyond it are left to the other side."""

_Node = core_schema.CoreSchema
_TYPES = ("string", "integer", "number", "boolean", "object", "array", "null")


class SchemaCheck:
    """Checks the data of tasks of one type.

    Args:
        name: the type, for messages.
        schema: the JSON schema of the data, which is that of an object.

    Raises:
        InvalidInput: this is no such schema; the message names the place.
    """

    def __init__(self, name: str, schema: Mapping[str, Any]) -> None:
        self._name = name
        compiler = _Compiler(schema)
        node = compiler.compile_arguments()
        try:
            self._validator = SchemaValidator(node)
        except (SchemaError, RecursionError) as fault:
            reason = " ".join(str(fault).split())[:MAX_SHOWN_CHARACTERS]
            raise InvalidInput(f"the JSON schema can't be used: {reason}") from None
        self._signature = _signature_of(schema)

    def check(self, data: Payload) -> None:
        """Check the data of a task.

        Raises:
            WrongCall: they do not match the schema; names each argument, its value and the rule.
        """
        given: Any = {} if data is None else data
        if not isinstance(given, dict):
            self._refuse(f"gets its arguments by name, as an object, not {show(data)}")
        try:
            self._validator.validate_python(given)
        except ValidationError as fault:
            self._refuse(self._describe(fault))

    def _describe(self, fault: ValidationError) -> str:
        faults = fault.errors(include_url=False, include_context=False)[:20]
        at_top = [each for each in faults if len(each["loc"]) == 1]
        unknown = [each["loc"][0] for each in at_top if each["type"] == "extra_forbidden"]
        missing = [each["loc"][0] for each in at_top if each["type"] == "missing"]
        if unknown:
            return f"has no parameter {', '.join(map(show, unknown))}"
        if missing:
            return f"needs {', '.join(map(show, missing))}"
        return f"can't take {summarize(fault)}"

    def _refuse(self, problem: str) -> NoReturn:
        raise WrongCall(f"{self._name} {problem}; it takes {self._signature}")


class _Compiler:
    """Makes a validator's schema of a JSON schema."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._whole = schema
        self._nodes = 0

    def compile_arguments(self) -> _Node:
        if self._whole.get("type", "object") != "object":
            _fail("type", self._whole["type"], "it must be 'object', since arguments have names")
        return self._object(self._whole, "", 0)

    def _compile(self, schema: object, place: str, depth: int) -> _Node:
        self._nodes += 1
        if schema is True or depth > MAX_DEPTH or self._nodes > MAX_NODES:
            return core_schema.any_schema()
        if schema is False:
            return core_schema.literal_schema([])
        node = _as_mapping(schema, place)
        if "$ref" in node:
            return self._compile(self._resolve(node["$ref"], place), place, depth + 1)
        if "const" in node or "enum" in node:
            return _literal(node, place)
        for word in ("anyOf", "oneOf"):
            if word in node:
                # That only one matches is left to the other side.
                choices = _as_list(node[word], f"{place}/{word}")
                return self._union(
                    [(self._compile(each, place, depth + 1), _label(each)) for each in choices]
                )
        if "type" not in node:
            return core_schema.any_schema()
        kinds: list[Any] = _listed(node["type"])
        return self._union([(self._of_type(each, node, place, depth), each) for each in kinds])

    def _union(self, choices: Sequence[tuple[_Node, str]]) -> _Node:
        some = [each for each in choices if each[1] != "null"]
        if not choices:
            return core_schema.any_schema()
        if not some:
            return core_schema.none_schema()
        union = some[0][0] if len(some) == 1 else core_schema.union_schema([*some])
        return union if len(some) == len(choices) else core_schema.nullable_schema(union)

    def _of_type(self, kind: object, node: Mapping[str, Any], place: str, depth: int) -> _Node:
        match kind:
            case "string":
                return core_schema.str_schema(
                    strict=True,
                    min_length=_count(node, "minLength", place),
                    max_length=_count(node, "maxLength", place),
                )
            case "integer":
                whole = core_schema.int_schema(strict=True, **_bounds(node, place, int))
                # In JSON, 1.0 is an integer.
                return core_schema.no_info_before_validator_function(_as_integer, whole)
            case "number":
                return core_schema.float_schema(strict=True, **_bounds(node, place, float))
            case "boolean":
                return core_schema.bool_schema(strict=True)
            case "null":
                return core_schema.none_schema()
            case "object":
                return self._object(node, place, depth)
            case "array":
                items = self._compile(node.get("items", True), f"{place}/items", depth + 1)
                if "prefixItems" in node or isinstance(node.get("items"), list):
                    items = core_schema.any_schema()
                return core_schema.list_schema(
                    items,
                    min_length=_count(node, "minItems", place),
                    max_length=_count(node, "maxItems", place),
                )
            case _:
                return _fail(f"{place}/type", kind, f"it must be one of {', '.join(_TYPES)}")

    def _object(self, node: Mapping[str, Any], place: str, depth: int) -> _Node:
        properties = _as_mapping(node.get("properties", {}), f"{place}/properties")
        required = _as_list(node.get("required", []), f"{place}/required")
        wrong = next((each for each in required if not isinstance(each, str)), None)
        if wrong is not None:
            _fail(f"{place}/required", wrong, "it must be a list of names")
        fields = {
            name: core_schema.typed_dict_field(
                self._compile(each, f"{place}/properties/{name}", depth + 1),
                required=name in required,
            )
            for name, each in properties.items()
        }
        for name in required:
            fields.setdefault(name, core_schema.typed_dict_field(core_schema.any_schema()))
        others = node.get("additionalProperties", True)
        if others is False and "patternProperties" not in node:
            return core_schema.typed_dict_schema(fields, extra_behavior="forbid")
        return core_schema.typed_dict_schema(fields, extra_behavior="ignore")

    def _resolve(self, reference: object, place: str) -> object:
        if not isinstance(reference, str) or not reference.startswith("#"):
            _fail(f"{place}/$ref", reference, "only what stands in the schema itself can be used")
        found: object = self._whole
        for step in filter(None, reference[1:].split("/")):
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or name not in found:
                _fail(f"{place}/$ref", reference, "there is no such place in the schema")
            found = cast("Mapping[str, object]", found)[name]
        return found


def _literal(node: Mapping[str, Any], place: str) -> _Node:
    values = [node["const"]] if "const" in node else _as_list(node["enum"], f"{place}/enum")
    if not values:
        _fail(f"{place}/enum", values, "it must name a value")
    if not all(isinstance(each, str) for each in values):
        # Whether 1 is the same as 1.0 or True is left to the other side.
        return core_schema.any_schema()
    return core_schema.literal_schema(values)


def _bounds(node: Mapping[str, Any], place: str, read: Callable[[float], Any]) -> dict[str, Any]:
    names = (("minimum", "ge"), ("maximum", "le"))
    exclusive = (("exclusiveMinimum", "gt"), ("exclusiveMaximum", "lt"))
    found: dict[str, Any] = {}
    for word, name in (*names, *exclusive):
        limit = node.get(word)
        # In older drafts, exclusive limits are booleans.
        if limit is None or isinstance(limit, bool):
            continue
        if not isinstance(limit, int | float):
            _fail(f"{place}/{word}", limit, "it must be a number")
        if abs(limit) < _LARGEST and (read is float or limit == int(limit)):
            found[name] = read(limit)
    return found


def _count(node: Mapping[str, Any], word: str, place: str) -> int | None:
    found = node.get(word)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        _fail(f"{place}/{word}", found, "it must be an integer from 0")
    return min(found, _LARGEST)


def _label(schema: object) -> str:
    """What a choice is called in messages."""
    kind = cast("dict[str, object]", schema).get("type") if isinstance(schema, dict) else None
    return kind if isinstance(kind, str) else "another"


def _as_integer(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _as_mapping(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        _fail(place, value, "it must be an object")
    return cast("Mapping[str, Any]", value)


def _listed(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def _as_list(value: object, place: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        _fail(place, value, "it must be a list")
    return [*cast("Sequence[Any]", value)]


def _fail(place: str, value: object, rule: str) -> NoReturn:
    where = place.strip("/")[-100:] or "the whole"
    raise InvalidInput(f"the JSON schema can't be used: {where} is {show(value)}; {rule}")


def _signature_of(schema: Mapping[str, Any]) -> str:
    """The parameters as text: "path: string, head: number = 10"."""
    properties = cast("Mapping[str, Any]", schema.get("properties", {}))
    told = [_told(name, each, schema) for name, each in properties.items()]
    text = ", ".join(told) or "no arguments"
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}…"


def _told(name: str, schema: object, whole: Mapping[str, Any]) -> str:
    node = cast("dict[str, Any]", schema) if isinstance(schema, dict) else {}
    kind = node.get("type")
    told = name if name.isidentifier() else show(name)
    if isinstance(kind, str):
        told += f": {kind}"
    if "default" in node:
        return f"{told} = {show(node['default'])}"
    return told if name in whole.get("required", ()) else f"{told} (optional)"
