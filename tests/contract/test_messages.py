"""Messages against real Postgres: order, acknowledgement, redelivery, topics, dead messages, masking."""

import asyncio
from datetime import timedelta

import pytest

from cadre_api.protocol.guard import Completion
from cadre_api.protocol.messages import MessageAck, MessageSend, MessageState
from cadre_api.protocol.tasks import TaskCreate
from cadre_controller.errors import Conflict, Denied, IdempotencyKeyReused, NotFound
from cadre_controller.ports import Actor, AgentIdentity
from cadre_controller.services.assembly import Services
from tests.contract.conftest import TENANT

TO = "agent:finance-1"


def note(text: str, to: str = TO, **fields: object) -> MessageSend:
    return MessageSend.model_validate({"to": to, "body": text, **fields})


async def later(services: Services, sql: str) -> None:
    async with services.kernel.db.connection((TENANT,)) as connection:
        await connection.execute(sql)


async def pushed(services: Services, identity: AgentIdentity, wait: float = 0) -> list[tuple[str, str]]:
    found = await services.leases.claim(identity, 1, wait, 10)
    return [(view.id, view.body) for view in found.messages]


async def test_in_order_until_acknowledged(services: Services, finance: AgentIdentity, clerk: Actor) -> None:
    ids = [(await services.messages.send(clerk, note(f"n{i}")))[0] for i in range(3)]
    assert [i for i, _ in await pushed(services, finance)] == ids
    fourth = (await services.messages.send(clerk, note("n3")))[0]
    assert await pushed(services, finance) == []
    done = await services.messages.ack(TENANT, f"agent:{finance.agent}", MessageAck(acked=tuple(ids[:2])))
    assert done.acked == 2
    await later(services, "UPDATE messages SET lease_until = created_at WHERE state = 'Delivered'")
    assert await services.messages.sweep((TENANT,)) == 1
    assert await pushed(services, finance) == []
    await later(services, "UPDATE messages SET available_at = created_at")
    assert [i for i, _ in await pushed(services, finance)] == [ids[2], fourth]
    again = await services.messages.ack(TENANT, f"agent:{finance.agent}", MessageAck(acked=tuple(ids)))
    assert again.acked == 1


async def test_two_who_hand_out_at_once_hand_out_each_message_once(
    services: Services, finance: AgentIdentity, clerk: Actor
) -> None:
    ids = [(await services.messages.send(clerk, note(f"n{i}")))[0] for i in range(3)]
    both = await asyncio.gather(*(services.messages.deliver(finance, 10) for _ in range(2)))
    assert [view.id for views in both for view in views] == ids


async def test_a_push_wakes_the_claim(services: Services, finance: AgentIdentity, clerk: Actor) -> None:
    await services.messages.send(clerk, note("hello"))
    assert [text for _, text in await pushed(services, finance, 30)] == ["hello"]


async def test_the_same_key_sends_once_and_values_are_masked(
    services: Services, finance: AgentIdentity, clerk: Actor
) -> None:
    text = note("Konstantin Hohenfels asks for DE89370400440532013000.")
    first = await services.messages.send(clerk, text, key="k")
    assert await services.messages.send(clerk, text, key="k") == first
    with pytest.raises(IdempotencyKeyReused):
        await services.messages.send(clerk, note("other"), key="k")
    found = await pushed(services, finance)
    assert len(found) == 1
    assert "Hohenfels" not in found[0][1]
    assert "DE8937" not in found[0][1]


async def test_nobody_takes_it_and_it_is_buried(
    services: Services, finance: AgentIdentity, clerk: Actor
) -> None:
    sent = (await services.messages.send(clerk, note("n", ttl_seconds=60)))[0]
    for _ in range(5):
        assert [i for i, _ in await pushed(services, finance)] == [sent]
        await later(services, "UPDATE messages SET lease_until = created_at")
        await services.messages.sweep((TENANT,))
        await later(services, "UPDATE messages SET available_at = created_at")
    dead = (await services.messages.dead(TENANT)).items
    assert [(m.id, m.reason, m.state) for m in dead] == [(sent, "NotAcknowledged", MessageState.DEAD)]
    admin = services.directory.admin_actor(TENANT)
    await services.messages.redrive(admin, sent)
    assert [i for i, _ in await pushed(services, finance)] == [sent]
    with pytest.raises(Conflict, match="NotDead"):
        await services.messages.drop(admin, sent)
    await later(services, "UPDATE messages SET expires_at = created_at")
    await services.messages.sweep((TENANT,))
    await services.messages.drop(admin, sent)
    with pytest.raises(NotFound):
        await services.messages.drop(admin, sent)


async def test_a_topic_reaches_its_subscribers(
    services: Services, finance: AgentIdentity, clerk: Actor
) -> None:
    await services.messages.subscribe(finance.actor, "close")
    boss = services.directory.person_actor(TENANT, "boss")
    assert await services.messages.subscribe(boss, "close") == ("close",)
    assert len(await services.messages.send(clerk, note("month is closed", "topic:close"))) == 2
    assert [text for _, text in await pushed(services, finance)] == ["month is closed"]
    waiting = await services.messages.wait(TENANT, boss.id, 0, 10)
    assert [m.topic for m in waiting.items] == ["close"]
    done = await services.messages.ack(TENANT, boss.id, MessageAck(acked=(waiting.items[0].id,)))
    assert done.acked == 1
    assert await services.messages.subscribe(boss, "close", on=False) == ()


async def test_an_agent_writes_to_its_people_and_to_no_stranger(
    services: Services, finance: AgentIdentity
) -> None:
    await services.messages.send(finance.actor, note("done", "person:clerk"))
    await services.messages.send(finance.actor, note("done", "person:boss"))
    with pytest.raises(Denied, match="PolicyDenied"):
        await services.messages.send(finance.actor, note("hi", "person:seller"))
    with pytest.raises(NotFound, match="UnknownReceiver"):
        await services.messages.send(finance.actor, note("hi", "agent:nobody"))


async def test_a_task_carries_what_waits(services: Services, finance: AgentIdentity, clerk: Actor) -> None:
    sent = (await services.messages.send(clerk, note("Ask Konstantin Hohenfels.")))[0]
    task = (await services.tasks.create(clerk, TaskCreate(prompt="count", agent="finance-1"))).view
    for attempt in (1, 2):
        lease = (await services.leases.claim(finance, 1, 0)).leases[0]
        assert (lease.attempt, [shard.id for shard in lease.shards]) == (attempt, [sent])
        if attempt == 1:
            failed = Completion(fence=lease.fence, reason="Draining", retryable=True)
            await services.leases.fail(finance, task.id, failed)
            await later(services, "UPDATE tasks SET available_at = created_at")
    await services.leases.complete(finance, task.id, Completion(fence=lease.fence, result="1"))
    inbox = await services.messages.inbox(TENANT, f"agent:{finance.agent}")
    assert [(m.id, m.state) for m in inbox.items] == [(sent, MessageState.ACKED)]
    assert inbox.items[0].expires_at - inbox.items[0].created_at == timedelta(days=7)
