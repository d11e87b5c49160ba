"""What a tool of an MCP server answers, as plain data; everything in it is foreign."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, cast

from ...messages import Payload
from ...messages.web_errors import ToolFailed

MAX_ERROR_CHARACTERS = 2_000
MAX_CONTENTS = 10_000
"""How many contents an answer may have."""


def output_of(tool: str, answer: Mapping[str, Any]) -> Payload:
    """The output in a result of `tools/call`, in its JSON form.

    Structured content is the output as it is. Otherwise a single text is a text, and anything else
    a list of contents: each an object with its `type`, in which images, audio and blobs are bytes.

    Args:
        tool: the tool's name, for messages.
        answer: the result.

    Raises:
        ToolFailed: the tool tells an error, or the answer is no result of a tool.
    """
    given: object = answer.get("content") or []
    listed = cast("list[object]", given) if isinstance(given, list) else [None]
    if len(listed) > MAX_CONTENTS:
        raise ToolFailed(
            f"{tool} answers with {len(listed):,} contents; at most {MAX_CONTENTS:,} are taken"
        )
    contents = [_read(tool, each) for each in listed]
    if answer.get("isError"):
        texts = [each for each in contents if isinstance(each, str)]
        told = "\n".join(texts).strip()[:MAX_ERROR_CHARACTERS]
        raise ToolFailed(f"{tool}: {told}" if told else f"{tool} failed and does not say why")
    structured = answer.get("structuredContent")
    if structured is not None:
        return structured
    if len(contents) == 1 and isinstance(contents[0], str):
        return contents[0]
    return [{"type": "text", "text": each} if isinstance(each, str) else each for each in contents]


def _read(tool: str, given: object) -> str | dict[str, Payload]:
    if not isinstance(given, dict):
        raise ToolFailed(f"{tool} answers what is no result of a tool")
    content = cast("dict[str, Any]", given)
    kind = content.get("type")
    if kind == "text":
        return str(content.get("text", ""))
    if kind in ("image", "audio"):
        data = _bytes_of(tool, content.get("data"))
        return {"type": kind, "mime_type": content.get("mimeType"), "data": data}
    if kind == "resource":
        found: object = content.get("resource")
        resource = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
        told = {"type": "resource", "uri": resource.get("uri")}
        told["mime_type"] = resource.get("mimeType")
        if "blob" in resource:
            return {**told, "data": _bytes_of(tool, resource["blob"])}
        return {**told, "text": resource.get("text", "")}
    if kind == "resource_link":
        names = ("name", "uri", "description")
        told = {each: content[each] for each in names if each in content}
        return {"type": kind, **told, "mime_type": content.get("mimeType")}
    raise ToolFailed(f"{tool} answers with a content of the unknown type {str(kind)[:50]!r}")


def _bytes_of(tool: str, text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        raise ToolFailed(f"{tool} answers with data that are not base64") from None
