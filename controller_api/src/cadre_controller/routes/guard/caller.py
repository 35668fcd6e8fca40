"""Who is calling on the guard port, and how its long polls wait."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from cadre_api.protocol.base import Message
from cadre_controller.ports import AgentIdentity
from cadre_controller.refusals import Unauthorized
from cadre_controller.routes.table import Call

I = TypeVar("I", bound=Message)  # noqa: E741
T = TypeVar("T")
_SLICE = 1.0
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


async def in_slices(
    call: Call[I], seconds: float, look: Callable[[float], Awaitable[T]], empty: Callable[[T], bool]
) -> T:
    """Wait with effects (a claim takes leases): never cancelled in the middle, and given up when nobody
    listens.
    """
    clock = call.runtime.clock
    deadline = clock.monotonic() + min(seconds, LONGEST_WAIT)
    while True:
        left = max(0.0, deadline - clock.monotonic())
        found = await look(min(_SLICE, left))
        if not empty(found) or left <= 0 or call.runtime.stopping.is_set() or _gone(call):
            return found


def _gone(call: Call[I]) -> bool:
    transport = call.request.transport
    return transport is None or transport.is_closing()
