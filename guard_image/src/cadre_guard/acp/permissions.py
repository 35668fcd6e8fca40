"""Permission requests: the agent asks us, we ask policy about the call the model really made.

The request names its tool only by the model's tool call id. Answers are allow_once or reject_once, nothing
else: the lasting answers would be written to a file of the agent's and silence later questions.
"""

import logging

from cadre_guard.errors import GuardError
from cadre_guard.jsonvalue import JsonObject, as_list, as_object, as_text
from cadre_guard.turn.tools import ToolGate
from cadre_guard.turn.turn import TurnRegistry

log = logging.getLogger(__name__)

_CANCELLED: JsonObject = {"outcome": {"outcome": "cancelled"}}


class PermissionDesk:
    """Answers the agent's requests; holds them as long as a human takes."""

    def __init__(self, turns: TurnRegistry, gate: ToolGate) -> None:
        self._turns = turns
        self._gate = gate

    async def answer(self, method: str, params: JsonObject) -> JsonObject:
        """The result of a request of the agent's; raises LookupError for methods we do not have."""
        if method != "session/request_permission":
            raise LookupError(method)
        turn = self._turns.find(as_text(params.get("sessionId")))
        if turn is None:
            return _CANCELLED
        call_id = as_text(as_object(params.get("toolCall")).get("toolCallId"))
        try:
            allowed = await self._gate.permit(turn, call_id)
        except GuardError as error:
            log.warning("permission refused", extra={"reason": error.reason})
            allowed = False
        return _CANCELLED if turn.stopping.is_set() else _selected(params, allowed=allowed)

    def ignore(self, method: str, params: JsonObject) -> None:
        """Updates tell the agent's view of the turn; ours comes from the model calls."""


def _selected(params: JsonObject, *, allowed: bool) -> JsonObject:
    wanted = "allow_once" if allowed else "reject_once"
    for option in as_list(params.get("options")):
        if as_object(option).get("kind") == wanted:
            return {"outcome": {"outcome": "selected", "optionId": as_object(option).get("optionId")}}
    return _CANCELLED
