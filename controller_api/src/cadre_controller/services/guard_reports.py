"""What a guard may write into the history: facts in a fixed vocabulary, about its own agent's tasks.

A guard may be taken over. Free text from it could hold a value, and an action in the controller's own words
would read as something the controller did.
"""

import re
from collections.abc import Mapping

from cadre_api.protocol.guard import GuardEvent

STORY: Mapping[str, str] = {
    "guard.mask": "Masked",
    "guard.restore": "Restored",
    "guard.block": "Blocked",
    "model.turn": "ModelCalled",
    "acp.prompt": "Prompted",
    "acp.permission": "Decided",
    "agent.restart": "AgentRestarted",
}
"""Guard action -> kind of story line; other actions are audited only."""

OTHER = "guard.other"
_OF_A_GUARD = re.compile(r"guard\.[A-Za-z]{1,40}")
_WORD = re.compile(r"[\w.:/|-]{1,128}", re.ASCII)
_ENTITY = re.compile(r"[A-Z][A-Z0-9_]{0,60}")
_WITHHELD = "withheld"


def reported(event: GuardEvent, own_tasks: frozenset[str]) -> GuardEvent:
    """The event with nothing in it but words, numbers and the guard's own actions."""
    known = event.action in STORY or _OF_A_GUARD.fullmatch(event.action)
    return event.model_copy(
        update={
            "action": event.action if known else OTHER,
            "result": _word(event.result),
            "task_id": event.task_id if event.task_id in own_tasks else "",
            "data": {key: _plain(value) for key, value in event.data.items() if _WORD.fullmatch(key)},
            "redactions": {kind: n for kind, n in event.redactions.items() if _ENTITY.fullmatch(kind)},
        }
    )


def _plain(value: object) -> str | int | float | bool:
    if isinstance(value, bool | int | float):
        return value
    return _word(value) if isinstance(value, str) else _WITHHELD


def _word(text: str) -> str:
    return text if not text or _WORD.fullmatch(text) else _WITHHELD
