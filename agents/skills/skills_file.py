"""Reads skills files, and writes them atomically."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from ...messages import InvalidInput, Payload
from ..kernel.matching.scorecards.scorecard_file import SkillsFile, read_skills_file
from ..runtime.private_file import replace_file
from ..runtime.strict_json import JsonFault, decode_json, describe_json_fault

MAX_BYTES = 64 * 1024 * 1024
"""The largest skills file that is read."""


def read_skills(path: str | Path) -> Mapping[str, Payload]:
    """Read and check a skills file.

    Args:
        path: the file.

    Raises:
        InvalidInput: it can't be read, or its content is not valid; the message names the file,
            the place and the value.
    """
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InvalidInput(f"the skills file {str(path)!r} is not a file; name a file")
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else fault
        raise InvalidInput(f"the skills file {str(path)!r} can't be read: {reason}") from None
    if len(text) > MAX_BYTES:
        raise InvalidInput(
            f"the skills file {str(path)!r} is too large: a skills file has at most "
            f"{MAX_BYTES:,} bytes"
        )
    try:
        content = parse_skills(text)
        read_skills_file(content)
    except InvalidInput as fault:
        raise InvalidInput(f"the skills file {str(path)!r}: {fault}") from None
    return content


def parse_skills(text: bytes) -> Mapping[str, Payload]:
    """Parse the JSON of a skills file, without checking what it contains.

    Raises:
        InvalidInput: it is not JSON; the message names the line and column.
    """
    try:
        content: object = decode_json(text)
    except JsonFault as fault:
        raise InvalidInput(f"it is not JSON: {describe_json_fault(fault)}") from None
    return cast("Mapping[str, Payload]", content)


def write_skills(path: str | Path, content: Mapping[str, Payload]) -> None:
    """Write a skills file atomically; a new one is for its owner alone.

    Args:
        path: the file; a link stays, and the file that it names is replaced.
        content: the content.

    Raises:
        InvalidInput: it can't be written; an existing file is unchanged.
    """
    try:
        replace_file(path, skills_text(content).encode())
    except (OSError, ValueError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else fault
        raise InvalidInput(f"the skills file {str(path)!r} can't be written: {reason}") from None


def skills_text(content: Mapping[str, Payload]) -> str:
    """The content of a skills file as JSON; each type of each worker has a line of its own."""
    return _lay_out(content, 0) + "\n"


def skills_schema() -> dict[str, object]:
    """The JSON schema of skills files; `docs/skills.schema.json` has it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **SkillsFile.model_json_schema(),
        "required": ["format", "version"],
    }


_LEVELS_IN_LINES = 4
"""The file, its workers, each worker, and its types are laid out in lines."""


def _lay_out(value: Payload, level: int) -> str:
    if not isinstance(value, Mapping) or not value or level == _LEVELS_IN_LINES:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    members = cast("Mapping[str, Payload]", value)
    indent = "  " * level
    lines = [
        f"{indent}  {json.dumps(name, ensure_ascii=False)}: {_lay_out(each, level + 1)}"
        for name, each in members.items()
    ]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
