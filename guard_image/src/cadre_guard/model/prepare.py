"""What the agent asks of the model, before masking: is it allowed, what is it for, what must be put right."""

from collections.abc import Mapping, Sequence

from cadre_detect.jsonwalk import Json
from cadre_guard.acp.client import GATEWAY_NAME
from cadre_guard.masking.masker import GuardRefusedError
from cadre_guard.turn.record import CallKind, TurnRecord
from cadre_guard.wire.dialect import Dialect

_CLASSIFIER_TOOL = "platform__tool_by_tool_permission"
_DECLINED = "declined to run this tool"


def classify(dialect: Dialect, body: Mapping[str, Json]) -> CallKind:
    """What goose wants: its side calls differ from work by their system prompt (measured, 1.52.0)."""
    if not dialect.must_say:
        return CallKind.EMBEDDING
    system, tools = dialect.system(body), dialect.tools(body)
    if system.startswith("Generate a short title"):
        return CallKind.TITLE
    if "permission-safety classifier" in system or _CLASSIFIER_TOOL in tools:
        return CallKind.CLASSIFIER
    if "## Task Context" in system and "llm context limit" in system.lower() and not tools:
        return CallKind.COMPACTION
    return CallKind.WORK


def refuse_foreign_tools(dialect: Dialect, body: Mapping[str, Json], extensions: frozenset[str]) -> None:
    """Raise unless every tool is our gateway's or was opted in: a new goose may enable a new default."""
    tools = body.get("tools")
    if tools is not None and (isinstance(tools, str) or not isinstance(tools, Sequence)):
        raise GuardRefusedError("BadBody", "tools must be an array")
    foreign = [
        name
        for name in dialect.tools(body)
        if not name.startswith(f"{GATEWAY_NAME}__") and name not in extensions
    ]
    if foreign:
        raise GuardRefusedError("ForeignTools", "the agent offers tools that its profile does not have")


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
