"""A tool's result on its way in: bounded, masked for the session, and never lost without a word."""

import json

from cadre_api.protocol.base import type_json
from cadre_api.protocol.guard import GuardRules
from cadre_controller.errors import Denied, MaskingFailed
from cadre_controller.gateways.tools.mcp import ToolResult as RawResult
from cadre_controller.ports import Masker
from cadre_controller.services.models import HeldTask, ToolResult

MAX_CHARS = 150_000
"""goose turns results of more than 200 000 characters into a file that an agent without file tools cannot
read.
"""


def text_block(text: str) -> type_json:
    """One MCP text block."""
    return {"type": "text", "text": text}


def error_result(text: str) -> RawResult:
    """A result that says what went wrong."""
    return RawResult((text_block(text),), is_error=True)


def bounded(raw: RawResult) -> RawResult:
    """The result within MAX_CHARS; what is cut says so."""
    size = _size(list(raw.content)) + _size(raw.structured_content or {})
    if size <= MAX_CHARS:
        return raw
    blocks: list[type_json] = []
    room = MAX_CHARS
    for block in raw.content:
        kept = _shortened(block, room)
        room -= _size(kept)
        blocks.append(kept)
        if room <= 0:
            break
    blocks.append(text_block(f"[cut by the tool gateway: the whole result has {size} characters]"))
    return RawResult(tuple(blocks), None, raw.is_error)


async def masked(masker: Masker, held: HeldTask, raw: RawResult, rules: GuardRules) -> ToolResult:
    """The result that may be stored; one that must not pass is withheld, and the agent is told why."""
    document = {"content": list(raw.content), "structuredContent": raw.structured_content}
    try:
        value = (await masker.mask_json(held.tenant, held.session_id, document, rules)).value
    except (Denied, MaskingFailed) as error:
        return ToolResult((text_block(f"[result withheld: {error.reason}]"),), None, True)
    if not isinstance(value, dict) or not isinstance(value.get("content"), list):
        return ToolResult((text_block("[result withheld: MaskingFailed]"),), None, True)
    structured = value.get("structuredContent")
    return ToolResult(
        tuple(value["content"]), structured if isinstance(structured, dict) else None, raw.is_error
    )


def _shortened(block: type_json, room: int) -> type_json:
    text = block.get("text")
    if isinstance(text, str) and _size(block) > room:
        return {**block, "text": text[: max(0, room - 100)]}
    if _size(block) > room:
        return text_block(f"[left out by the tool gateway: a block of type {block.get('type', '?')}]")
    return block


def _size(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False))
