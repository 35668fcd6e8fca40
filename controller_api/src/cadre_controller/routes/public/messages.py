"""Messages as people use them: an inbox, sending, topics, and what nobody took."""

from pydantic import Field

from cadre_api.protocol.base import Message
from cadre_api.protocol.messages import (
    MessageAck,
    MessageAcked,
    MessageSend,
    MessageSent,
    MessageState,
    MessageView,
)
from cadre_controller.errors import Denied
from cadre_controller.routes.conditional import idempotency_key
from cadre_controller.routes.public.reader import I, Reader, reader
from cadre_controller.routes.table import Answer, Call, Nothing, Scope, Table
from cadre_controller.services.models import Page

TABLE = Table(Scope.PERSON)
_LONGEST = 25.0


class MessageQuery(Message):
    """Which of one's messages to list."""

    state: MessageState | None = None
    topic: str = ""
    sender: str = ""
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str = ""


class MessageWait(Message):
    """How long to wait for a message."""

    wait: float = Field(default=_LONGEST, ge=0, le=_LONGEST)
    limit: int = Field(default=50, ge=1, le=200)


class DeadQuery(Message):
    """Which dead messages to list."""

    limit: int = Field(default=50, ge=1, le=200)
    cursor: str = ""


class MessagePage(Message):
    """Messages, newest first."""

    items: tuple[MessageView, ...]
    next: str = ""


class Topics(Message):
    """The topics that one gets."""

    topics: tuple[str, ...]


@TABLE.post("/api/v1/messages", MessageSend, MessageSent, status=201, max_body=512 * 1024)
async def send(call: Call[MessageSend]) -> Answer:
    """Write to an agent, a person or a topic; an Idempotency-Key makes a repeat harmless."""
    key = idempotency_key(call.request)
    ids = await call.runtime.services.messages.send(reader(call).actor, call.input, key=key)
    return MessageSent(ids=ids)


@TABLE.get("/api/v1/messages", MessageQuery, MessagePage)
async def inbox(call: Call[MessageQuery]) -> Answer:
    """One's own messages, newest first, restored within one's clearance."""
    who, query = reader(call), call.input
    page = await call.runtime.services.messages.inbox(
        who.actor.tenant,
        who.actor.id,
        state=query.state,
        topic=query.topic,
        sender=query.sender,
        limit=query.limit,
        cursor=query.cursor,
    )
    return await _page(who, page)


@TABLE.get("/api/v1/messages/wait", MessageWait, MessagePage)
async def wait(call: Call[MessageWait]) -> Answer:
    """Long poll: what waits for the person, as soon as there is something."""
    who, messages = reader(call), call.runtime.services.messages
    waiting = messages.wait(who.actor.tenant, who.actor.id, call.input.wait, call.input.limit)
    return await _page(who, await call.runtime.unless_stopping(waiting))


@TABLE.post("/api/v1/messages/ack", MessageAck, MessageAcked)
async def ack(call: Call[MessageAck]) -> Answer:
    """Say that messages were read."""
    actor = reader(call).actor
    return await call.runtime.services.messages.ack(actor.tenant, actor.id, call.input)


@TABLE.get("/api/v1/dead-messages", DeadQuery, MessagePage)
async def dead(call: Call[DeadQuery]) -> Answer:
    """Messages that nobody took, for administrators; their text stays masked."""
    query, messages = call.input, call.runtime.services.messages
    tenant = _admin(call).actor.tenant
    page = await messages.dead(tenant, limit=query.limit, cursor=query.cursor)
    return MessagePage(items=page.items, next=page.next)


@TABLE.post("/api/v1/messages/{id}/redrive", Nothing, None, status=204)
async def redrive(call: Call[Nothing]) -> Answer:
    """Send a dead message again."""
    await call.runtime.services.messages.redrive(_admin(call).actor, call.path("id"))
    return None


@TABLE.post("/api/v1/messages/{id}/drop", Nothing, None, status=204)
async def drop(call: Call[Nothing]) -> Answer:
    """Give a dead message up."""
    await call.runtime.services.messages.drop(_admin(call).actor, call.path("id"))
    return None


@TABLE.post("/api/v1/topics/{topic}/subscription", Nothing, Topics)
async def subscribe(call: Call[Nothing]) -> Answer:
    """Get what is sent to a topic."""
    topics = await call.runtime.services.messages.subscribe(reader(call).actor, call.path("topic"))
    return Topics(topics=topics)


@TABLE.post("/api/v1/topics/{topic}/subscription", Nothing, Topics, method="DELETE")
async def unsubscribe(call: Call[Nothing]) -> Answer:
    """No longer get what is sent to a topic."""
    messages = call.runtime.services.messages
    return Topics(topics=await messages.subscribe(reader(call).actor, call.path("topic"), on=False))


async def _page(who: Reader, page: Page[MessageView]) -> MessagePage:
    items = [await who.restored(view.id, view) for view in page.items]
    return MessagePage(items=tuple(items), next=page.next)


def _admin(call: Call[I]) -> Reader:
    who = reader(call)
    if not who.actor.is_admin:
        raise Denied("AdminOnly", "dead messages are for administrators", "ask one")
    return who
