"""Messages at a guard: they come with the claims; here they are sent, acknowledged and subscribed to."""

from cadre_api.protocol.base import Message
from cadre_api.protocol.messages import MessageAck, MessageAcked
from cadre_controller.routes.guard.caller import caller
from cadre_controller.routes.table import Answer, Call, Nothing, Scope, Table

TABLE = Table(Scope.GUARD)


class Topics(Message):
    """The topics that the agent gets."""

    topics: tuple[str, ...]


@TABLE.post("/guard/v1/messages/ack", MessageAck, MessageAcked, max_body=64 * 1024)
async def ack(call: Call[MessageAck]) -> Answer:
    """Take note of what was received; what is returned comes again later."""
    identity = caller(call)
    receiver = f"agent:{identity.agent}"
    return await call.runtime.services.messages.ack(identity.tenant, receiver, call.input)


@TABLE.post("/guard/v1/topics/{topic}/subscription", Nothing, Topics)
async def subscribe(call: Call[Nothing]) -> Answer:
    """Let the agent get what is sent to a topic."""
    messages = call.runtime.services.messages
    return Topics(topics=await messages.subscribe(caller(call).actor, call.path("topic")))
