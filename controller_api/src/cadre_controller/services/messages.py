"""Messages: masked and committed when sent, pushed in order, given again until acknowledged, and kept when
nobody takes them."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from cadre_api.protocol.base import ActorType, Effect
from cadre_api.protocol.messages import MessageAck, MessageAcked, MessageSend, MessageState, MessageView
from cadre_controller.errors import Conflict, Denied, NotFound, RateLimited
from cadre_controller.ports import Actor, AgentIdentity, Masker
from cadre_controller.services.chart import ChartService
from cadre_controller.services.dispatch import node_of, policy_subject
from cadre_controller.services.kernel import Facts, Kernel, queue_channel
from cadre_controller.services.message_rows import message_view, receiver_of, returned
from cadre_controller.services.models import HeldTask, LiveChart, Page
from cadre_controller.services.sessions import SessionService
from cadre_controller.store.pool import Row
from cadre_controller.store.work import Idempotency, RowMissing, Statement, Work, together
from cadre_core.canonical import digest
from cadre_core.policy.decide import PolicyRequest, evaluate
from cadre_core.policy.request import AgentResource, NodeResource, Resource

_BY_RULE = frozenset({"DeniedByRule", "ConditionError", "PolicyError"})
"""Among the people of a tenant only a rule keeps anybody from writing."""
INBOX = 10_000
"""Most messages that wait for one receiver."""
SECOND_CHANCE = timedelta(days=7)
KEPT = timedelta(days=30)


class MessageService:
    """Send, deliver, acknowledge, read, redrive."""

    def __init__(
        self,
        kernel: Kernel,
        chart: ChartService,
        sessions: SessionService,
        masker: Masker,
        lease: timedelta,
    ) -> None:
        """`lease`: a receiver has so long to acknowledge what was pushed to it."""
        self._kernel = kernel
        self._lease = lease
        self._chart = chart
        self._sessions = sessions
        self._masker = masker

    async def send(
        self,
        actor: Actor,
        given: MessageSend,
        *,
        key: str = "",
        held: HeldTask | None = None,
        from_session: str = "",
    ) -> tuple[str, ...]:
        """Commit a message for each receiver; the same key sends it once. Returns the ids.

        `from_session`: the session whose tokens the body may carry, else that of the task.

        Raises Denied, NotFound(UnknownReceiver), RateLimited, MaskingFailed, IdempotencyKeyReused.
        """
        tenant, live = actor.tenant, self._chart.current(actor.tenant)
        from_session = held.session_id if held is not None else from_session
        receivers = await self._receivers(live, actor, given, held)
        ids = tuple(self._kernel.ids.new("msg") for _ in receivers)
        statements: list[Statement] = []
        for receiver, message_id in zip(receivers, ids, strict=True):
            text = await self._masked(actor, message_id, receiver, given.body, from_session)
            statements.append(self._insert(actor, given, receiver, message_id, text, held))
        facts = Facts({"to": given.to, "receivers": len(ids), "type": given.type, "ids": list(ids)})
        work = Work(
            tenant,
            tuple(statements),
            audit=(self._kernel.audit(actor, "mesh.message", given.to, "ok", facts),),
            idempotency=self._once(actor, given, key, ids),
            notify=tuple(channel_of(tenant, receiver) for receiver in receivers),
        )
        outcome = await self._kernel.submit(work)
        if outcome.replayed is not None:
            stored = outcome.replayed["ids"]
            return tuple(map(str, stored)) if isinstance(stored, list) else ()
        return ids

    async def deliver(
        self, identity: AgentIdentity, most: int, carrier: str = "", until: datetime | None = None
    ) -> tuple[MessageView, ...]:
        """Hand out what waits for an agent, in order; it comes again unless acknowledged.

        `carrier`: a task whose success acknowledges them, if it ends `until` then.
        """
        tenant, kernel = identity.tenant, self._kernel
        now = kernel.clock.now()
        rows = await kernel.db.fetch(tenant, "messages_due", tenant, f"agent:{identity.agent}", now, most)
        until = until or now + self._lease
        works = [Work(tenant, (_delivery(row, until, carrier),)) for row in rows]
        if not works:
            return ()
        try:
            await kernel.submit(together(works))
        except RowMissing:
            # somebody else took some: what comes before the first of those is in order still
            rows = rows[: await self._first_of(works)]
        return tuple(map(message_view, rows))

    async def _first_of(self, works: Sequence[Work]) -> int:
        """Commit one after the other until one is refused; how many were not."""
        for count, work in enumerate(works):
            try:
                await self._kernel.submit(work)
            except RowMissing:
                return count
        return len(works)

    async def ack(self, tenant: str, receiver: str, body: MessageAck) -> MessageAcked:
        """Note what was received; what is returned comes again after a pause. A repeat does nothing."""
        now, kernel = self._kernel.clock.now(), self._kernel
        acks = tuple(
            Statement("message_ack", (tenant, i, receiver, now), expect_row=False) for i in body.acked
        )
        rows = [await kernel.db.fetch_one(tenant, "message_get", tenant, i) for i in body.returned]
        backs = [
            returned(row, now, "Returned")
            for row in rows
            if row is not None and row["receiver"] == receiver and row["state"] == MessageState.DELIVERED
        ]
        if not acks and not backs:
            return MessageAcked(acked=0, returned=0)
        backs = [Statement(s.query, s.row, expect_row=False) for s in backs]
        outcome = await kernel.submit(Work(tenant, (*acks, *backs), notify=(channel_of(tenant, receiver),)))
        done = [row is not None for row in outcome.rows]
        return MessageAcked(acked=sum(done[: len(acks)]), returned=sum(done[len(acks) :]))

    async def carry(
        self, identity: AgentIdentity, tasks: Sequence[Row], most: int = 20
    ) -> dict[str, list[MessageView]]:
        """What waits for an agent goes along with the first of these tasks and with each attempt at it; by
        the task that carries it."""
        tenant, first = identity.tenant, tasks[0]
        ids = [task["id"] for task in tasks]
        found: defaultdict[str, list[MessageView]] = defaultdict(list)
        for row in await self._kernel.db.fetch(tenant, "messages_carried", tenant, ids):
            found[row["carrier"]].append(message_view(row))
        fresh = await self.deliver(identity, most, first["id"], first["deadline_at"])
        for view in fresh:
            await self._sessions.regrant(tenant, view.id, first["session_id"], (view.body,))
        found[first["id"]] += fresh
        return found

    def receipt(self, tenant: str, task_id: str) -> Statement:
        """Acknowledges what a task carried to its agent."""
        return Statement("message_ack_carried", (tenant, task_id, self._kernel.clock.now()), expect_row=False)

    async def inbox(
        self,
        tenant: str,
        receiver: str,
        *,
        state: MessageState | None = None,
        topic: str = "",
        sender: str = "",
        limit: int = 50,
        cursor: str = "",
    ) -> Page[MessageView]:
        """A receiver's messages, newest first."""
        rows = await self._kernel.db.fetch(
            tenant, "messages_inbox", tenant, receiver, state or "", topic, sender, cursor, limit + 1
        )
        return _page(rows, limit)

    async def wait(self, tenant: str, receiver: str, wait_seconds: float, limit: int) -> Page[MessageView]:
        """What waits for a person, as soon as there is something."""

        async def look() -> Page[MessageView] | None:
            page = await self.inbox(tenant, receiver, state=MessageState.PENDING, limit=limit)
            return page if page.items else None

        channels = (channel_of(tenant, receiver),)
        return await self._kernel.wakeups.until(channels, look, wait_seconds) or Page(())

    async def dead(self, tenant: str, *, limit: int = 50, cursor: str = "") -> Page[MessageView]:
        """Messages that nobody took, newest first."""
        return _page(await self._kernel.db.fetch(tenant, "messages_dead", tenant, cursor, limit + 1), limit)

    async def redrive(self, actor: Actor, message_id: str) -> None:
        """Send a dead message again. Raises NotFound, Conflict(NotDead)."""
        now = self._kernel.clock.now()
        row = (actor.tenant, message_id, now + SECOND_CHANCE, now)
        await self._decide(actor, message_id, Statement("message_redrive", row), "redriven")

    async def drop(self, actor: Actor, message_id: str) -> None:
        """Give a dead message up. Raises NotFound, Conflict(NotDead)."""
        await self._decide(
            actor, message_id, Statement("message_drop", (actor.tenant, message_id)), "dropped"
        )

    async def subscribe(self, actor: Actor, topic: str, *, on: bool = True) -> tuple[str, ...]:
        """Get, or no longer get, what is sent to a topic; returns all topics of the actor."""
        tenant = actor.tenant
        row: tuple[object, ...] = (tenant, topic, actor.id)
        statement = Statement("unsubscribe", row, expect_row=False)
        if on:
            statement = Statement("subscribe", (*row, self._kernel.clock.now()))
        result = "subscribed" if on else "unsubscribed"
        entry = self._kernel.audit(actor, "mesh.topic", f"topic:{topic}", result)
        await self._kernel.submit(Work(tenant, (statement,), audit=(entry,)))
        rows = await self._kernel.db.fetch(tenant, "subscriptions_of", tenant, actor.id)
        return tuple(row["topic"] for row in rows)

    async def sweep(self, tenants: Sequence[str]) -> int:
        """Give again what was not acknowledged in time, bury what is too old, forget what is long done."""
        now, db = self._kernel.clock.now(), self._kernel.db
        rows = await db.fetch(tenants, "messages_lapsed", now)
        for row in rows:
            channels = (channel_of(row["tenant"], row["receiver"]),)
            try:
                work = Work(row["tenant"], (returned(row, now, "NotAcknowledged"),), notify=channels)
                await self._kernel.submit(work)
            except RowMissing:
                continue
        await db.execute(tenants, "messages_forget", now - KEPT)
        return len(rows)

    async def _receivers(
        self, live: LiveChart, actor: Actor, given: MessageSend, held: HeldTask | None
    ) -> tuple[str, ...]:
        tenant = actor.tenant
        kind, _, topic = given.to.partition(":")
        if kind == "topic":
            rows = await self._kernel.db.fetch(tenant, "subscribers", tenant, topic)
            found = [row["receiver"] for row in rows if row["receiver"] != actor.id]
            return tuple(r for r in found if not self._refusal(live, actor, r, held))
        receiver = receiver_of(live, given.to)
        if why := self._refusal(live, actor, receiver, held):
            raise Denied("PolicyDenied", why, "ask the head of the node for a rule that allows SendMessage")
        waiting = await self._kernel.db.fetch_one(tenant, "messages_waiting", tenant, receiver)
        if waiting is not None and waiting["count"] >= INBOX:
            raise RateLimited("messages for this receiver", retry_after=30.0)
        return (receiver,)

    def _refusal(self, live: LiveChart, actor: Actor, receiver: str, held: HeldTask | None) -> str:
        """Why the actor may not write to the receiver; empty when it may."""
        kind, _, key = receiver.partition(":")
        if kind == "agent":
            agent = live.snapshot.agents.get(key)
            if agent is None:
                return f"there is no agent {key}"
            resource: Resource = AgentResource(agent.key, agent.node)
        else:
            person = live.persons_by_id.get(receiver, "")
            if held is not None and receiver == held.requester:
                return ""
            if _answers_for(live, actor, person):
                return ""
            home = node_of(live.snapshot, Actor(actor.tenant, ActorType.PERSON, receiver, person=person))
            resource = NodeResource(home or live.snapshot.root)
        node = node_of(live.snapshot, actor)
        asked = PolicyRequest(policy_subject(actor), node, "SendMessage", resource)
        decision = evaluate(live.program, asked)
        among_people = actor.type is ActorType.PERSON and kind == "person"
        if decision.effect is Effect.ALLOW or (among_people and decision.reason not in _BY_RULE):
            return ""
        return decision.message or decision.reason

    async def _masked(
        self, actor: Actor, message_id: str, receiver: str, body: str, from_session: str
    ) -> str:
        """The text with tokens that are granted to this message."""
        tenant = actor.tenant
        if from_session:
            await self._sessions.regrant(tenant, from_session, message_id, (body,), actor=actor)
        agent = receiver.removeprefix("agent:") if receiver.startswith("agent:") else ""
        rules = self._chart.guard_rules(tenant, agent)
        return (await self._masker.mask(tenant, message_id, body, rules)).text

    def _insert(
        self,
        actor: Actor,
        given: MessageSend,
        receiver: str,
        message_id: str,
        text: str,
        held: HeldTask | None,
    ) -> Statement:
        now = self._kernel.clock.now()
        kind, _, topic = given.to.partition(":")
        row = (
            actor.tenant, message_id, actor.id, receiver, topic if kind == "topic" else "", given.type.value,
            given.severity.value, held.session_id if held is not None else "", text, now,
            now + timedelta(seconds=given.ttl_seconds), held.trace_id if held is not None else actor.trace_id,
        )  # fmt: skip
        return Statement("message_insert", row)

    def _once(self, actor: Actor, given: MessageSend, key: str, ids: tuple[str, ...]) -> Idempotency | None:
        if not key:
            return None
        request = digest({"actor": actor.id, "message": given.model_dump(mode="json")})
        return Idempotency(actor.tenant, f"messages.send:{actor.id}", key, request, {"ids": list(ids)})

    async def _decide(self, actor: Actor, message_id: str, statement: Statement, result: str) -> None:
        tenant = actor.tenant
        row = await self._kernel.db.fetch_one(tenant, "message_get", tenant, message_id)
        if row is None:
            raise NotFound("UnknownMessage", f"there is no message {message_id}", "list the dead messages")
        entry = self._kernel.audit(actor, "mesh.message", f"message:{message_id}", result)
        channels = (channel_of(tenant, row["receiver"]),)
        try:
            await self._kernel.submit(Work(tenant, (statement,), audit=(entry,), notify=channels))
        except RowMissing:
            raise Conflict(
                "NotDead", f"message {message_id} is {row['state']}", "only dead ones are decided"
            ) from None


def channel_of(tenant: str, receiver: str) -> str:
    """Wakes who waits for messages: an agent's guard waits where it waits for work."""
    kind, _, key = receiver.partition(":")
    return queue_channel(tenant, key) if kind == "agent" else f"inbox:{tenant}:{receiver}"


def _answers_for(live: LiveChart, actor: Actor, person: str) -> bool:
    """An agent may always write to its owner and to those who hold a role above it."""
    agent = live.snapshot.agents.get(actor.id.removeprefix("agent:"))
    if agent is None or not person:
        return False
    above = {m.person for key in agent.path for m in live.snapshot.nodes[key].members}
    return person == agent.owner or person in above


def _delivery(row: Row, until: datetime, carrier: str) -> Statement:
    return Statement("message_deliver", (row["tenant"], row["id"], row["attempts"], until, carrier))


def _page(rows: Sequence[Row], limit: int) -> Page[MessageView]:
    items = tuple(message_view(row) for row in rows[:limit])
    return Page(items, items[-1].id if len(rows) > limit else "")
