"""The tools that Cadre itself offers to agents: the bundle lists them, policy decides about them. The mesh is
run by the controller, what is asked of the guard by the agent's guard.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class BuiltinTool:
    """One builtin tool; its name in a bundle is `<entry>_<name>`."""

    name: str
    description: str
    input_schema: Mapping[str, object]
    effects: str
    idempotent: bool


def _text(description: str, max_length: int = 20_000) -> dict[str, object]:
    return {"type": "string", "minLength": 1, "maxLength": max_length, "description": description}


def _object(required: list[str], properties: dict[str, object]) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_TARGET: dict[str, object] = {
    "targetRole": _text("Role that should do it, such as finance; an agent of that role is chosen.", 63),
    "agentId": _text("One particular agent, namespace/name; only when a role is not enough.", 128),
}

SEND_TASK = BuiltinTool(
    name="send_task",
    description="Give a task to another agent of the company, by role or name. Returns its taskId at once; "
    "read the outcome with fetch_status.",
    input_schema=_object(
        ["task"],
        _TARGET
        | {
            "task": _text(
                "What is to be done, complete in itself: the other agent sees nothing else.", 100_000
            ),
            "context": {
                "type": "object",
                "description": "Short facts the other agent needs.",
                "additionalProperties": {"type": "string", "maxLength": 20_000},
                "maxProperties": 32,
            },
            "policyHints": {
                "type": "object",
                "description": "Wishes for routing, such as skills or language; policy decides.",
                "additionalProperties": {"type": "string", "maxLength": 256},
                "maxProperties": 16,
            },
        },
    ),
    effects="Additive",
    idempotent=True,
)

FETCH_STATUS = BuiltinTool(
    name="fetch_status",
    description="Read the state and, once there, the result of a task you sent. Waits up to waitSeconds.",
    input_schema=_object(
        ["taskId"],
        {
            "taskId": _text("The id that send_task returned.", 64),
            "waitSeconds": {"type": "number", "minimum": 0, "maximum": 3600},
        },
    ),
    effects="ReadOnly",
    idempotent=True,
)

REQUEST_APPROVAL = BuiltinTool(
    name="request_approval",
    description="Ask a human to agree before you go on; waits for the decision.",
    input_schema=_object(
        ["payload"],
        {
            "targetRole": _text("Role that must agree in the reporting line; Head when left out.", 63),
            "stepId": _text("A short name of the step, the same when you ask again.", 128),
            "payload": _text("What you want to do and why, for the human to read."),
        },
    ),
    effects="Additive",
    idempotent=True,
)

NOTIFY = BuiltinTool(
    name="notify",
    description="Send a short note to another agent; no answer is expected.",
    input_schema=_object(
        ["message"],
        _TARGET
        | {
            "message": _text("The note."),
            "severity": {"type": "string", "enum": ["Info", "Warning", "Critical"]},
        },
    ),
    effects="Additive",
    idempotent=True,
)

DETECT = BuiltinTool(
    name="detect",
    description="Find private data in a text: type, place and score of each finding.",
    input_schema=_object(["text"], {"text": _text("The text.", 200_000)}),
    effects="ReadOnly",
    idempotent=True,
)

PROCESS = BuiltinTool(
    name="process",
    description="Mask private data in a text with the tokens of this session; Detect only counts it.",
    input_schema=_object(
        ["text"],
        {"text": _text("The text.", 200_000), "policy": {"type": "string", "enum": ["Mask", "Detect"]}},
    ),
    effects="ReadOnly",
    idempotent=True,
)

GUARD = "builtin:Guard"
"""Server key of what an agent's guard does for it."""

MESH = "builtin:Mesh"
"""Server key of the mesh in snapshots, bundles and audit."""

BUILTIN_TOOLS: Mapping[str, tuple[BuiltinTool, ...]] = MappingProxyType(
    {"Mesh": (SEND_TASK, FETCH_STATUS, REQUEST_APPROVAL, NOTIFY), "Guard": (DETECT, PROCESS)}
)
"""Tools of each builtin; a builtin that is missing here has none in this version."""
