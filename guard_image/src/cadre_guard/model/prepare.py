"""What the agent asks of the model, before masking: is it allowed, what is it for, what must be put right."""

from collections.abc import Mapping, Sequence

from cadre_detect.jsonwalk import Json
from cadre_guard.acp.client import GATEWAY_NAME
from cadre_guard.masking.masker import GuardRefusedError
from cadre_guard.turn.record import CallKind, TurnRecord

_CLASSIFIER_TOOL = "platform__tool_by_tool_permission"
_DECLINED = "declined to run this tool"


def classify(body: Mapping[str, Json]) -> CallKind:
    """What goose wants: its side calls differ from work by their system prompt (measured, 1.52.0)."""
    system = _system_text(body)
    if system.startswith("Generate a short title"):
        return CallKind.TITLE
    if "permission-safety classifier" in system or _CLASSIFIER_TOOL in tool_names(body):
        return CallKind.CLASSIFIER
    if "## Task Context" in system and "llm context limit" in system.lower() and not tool_names(body):
        return CallKind.COMPACTION
    return CallKind.WORK


def refuse_foreign_tools(body: Mapping[str, Json], extensions: frozenset[str]) -> None:
    """Raise unless every tool is our gateway's or was opted in: a new goose may enable a new default."""
    foreign = [
        name
        for name in tool_names(body)
        if not name.startswith(f"{GATEWAY_NAME}__") and name not in extensions
    ]
    if foreign:
        raise GuardRefusedError("ForeignTools", "the agent offers tools that its profile does not have")


def tool_names(body: Mapping[str, Json]) -> list[str]:
    """Names of all offered tools; a tool without a readable name counts as one named nothing."""
    tools = body.get("tools")
    if tools is None:
        return []
    if isinstance(tools, str) or not isinstance(tools, Sequence):
        raise GuardRefusedError("BadBody", "tools must be an array")
    return [_tool_name(tool) for tool in tools]


def explain_refusals(body: Mapping[str, Json], record: TurnRecord) -> dict[str, Json]:
    """The body with policy's reason where goose only says that a tool was declined."""
    messages = body.get("messages")
    if not record.refusals or isinstance(messages, str) or not isinstance(messages, Sequence):
        return dict(body)
    return {**body, "messages": [_explained(message, record) for message in messages]}


def _explained(message: Json, record: TurnRecord) -> Json:
    if not isinstance(message, Mapping) or message.get("role") != "tool":
        return message
    why = record.refusals.get(str(message.get("tool_call_id")))
    if why is None or _DECLINED not in str(message.get("content")):
        return message
    text = f"This call was refused: {why}. Do not repeat it; tell the requester why it could not be done."
    return {**message, "content": text}


def _tool_name(tool: Json) -> str:
    function = tool.get("function") if isinstance(tool, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    return name if isinstance(name, str) else ""


def _system_text(body: Mapping[str, Json]) -> str:
    messages = body.get("messages")
    if isinstance(messages, str) or not isinstance(messages, Sequence) or not messages:
        return ""
    first = messages[0]
    content = first.get("content") if isinstance(first, Mapping) else None
    return content if isinstance(content, str) else ""
