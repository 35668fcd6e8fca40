"""Who is calling on the guard port, and whether it still listens."""

from typing import TypeVar

from cadre_api.protocol.base import Message
from cadre_controller.ports import AgentIdentity
from cadre_controller.refusals import Unauthorized
from cadre_controller.routes.table import Call

I = TypeVar("I", bound=Message)  # noqa: E741
LONGEST_WAIT = 60.0


def caller(call: Call[I]) -> AgentIdentity:
    """The guard that asks; its tenant is the one the chart gives its agent now."""
    identity = call.principal
    if not isinstance(identity, AgentIdentity):
        raise Unauthorized("InvalidToken", "this token belongs to no guard")
    return identity


def traceparent(call: Call[I]) -> str:
    """The trace that the request belongs to (W3C), empty when it names none."""
    return call.request.headers.get("traceparent", "")


def hears(call: Call[I]) -> bool:
    """Whether an answer would still be heard: what is handed out to nobody would be lost for a while."""
    transport = call.request.transport
    return transport is not None and not transport.is_closing() and not call.runtime.stopping.is_set()
