"""A claim for many tasks at a time, and ends by whoever may have forgotten or never known the lease."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from cadre_api.protocol.guard import Completion
from cadre_api.protocol.messages import MessageSend, MessageState, MessageType
from cadre_api.protocol.tasks import TaskCreate, TaskState
from cadre_controller.errors import LeaseLost
from cadre_controller.ports import Actor, AgentIdentity
from cadre_controller.services.assembly import Services
from tests.contract.conftest import TENANT, opened

pytestmark = pytest.mark.postgres


async def given(services: Services, clerk: Actor, *prompts: str) -> list[str]:
    """Tasks of finance-1, in this order."""
    bodies = (TaskCreate(prompt=prompt, agent="finance-1") for prompt in prompts)
    return [(await services.tasks.create(clerk, body)).view.id for body in bodies]


async def test_a_batch_is_leased_with_each_task_its_own_shards_and_the_mail_with_one(
    services: Services, clerk: Actor, finance: AgentIdentity
) -> None:
    tasks = await given(services, clerk, "One.", "Two.", "Three.")
    second = await services.tasks.get(TENANT, tasks[1])
    shard = await services.sessions.add_shard(clerk, second.session_id, "Of the second alone.")
    to = f"agent:{finance.agent}"
    (note,) = await services.messages.send(clerk, MessageSend(to=to, body="Mind it.", type=MessageType.NOTE))

    leases = (await services.leases.claim(finance, 10, 0)).leases

    assert [lease.task_id for lease in leases] == tasks
    assert [[s.id for s in lease.shards] for lease in leases] == [[note], [shard.id], []]
    assert {(lease.fence, lease.attempt) for lease in leases} == {(1, 1)}
    for task in tasks:
        kinds = [event.kind for event in await services.tasks.events(TENANT, task)]
        assert kinds[-1] == "Leased"
    ends = (
        services.leases.complete(finance, lease.task_id, Completion(fence=1, result="ok")) for lease in leases
    )
    await asyncio.gather(*ends)
    states = [(await services.tasks.get(TENANT, task)).state for task in tasks]
    assert states == [TaskState.SUCCEEDED] * 3
    inbox = await services.messages.inbox(TENANT, to)
    assert [(m.id, m.state) for m in inbox.items] == [(note, MessageState.ACKED)]


async def test_what_a_lost_lease_carried_is_not_acknowledged(
    services: Services, clerk: Actor, finance: AgentIdentity
) -> None:
    (task,) = await given(services, clerk, "Go.")
    to = f"agent:{finance.agent}"
    await services.messages.send(clerk, MessageSend(to=to, body="Mind it.", type=MessageType.NOTE))
    (lease,) = (await services.leases.claim(finance, 1, 0)).leases
    newer = AgentIdentity(TENANT, finance.agent, "instance-b")
    assert await services.leases.take_over(newer) == 1

    with pytest.raises(LeaseLost):
        await services.leases.complete(finance, task, Completion(fence=lease.fence, result="late"))

    assert (await services.tasks.get(TENANT, task)).state is TaskState.QUEUED
    inbox = await services.messages.inbox(TENANT, to)
    assert [m.state for m in inbox.items] == [MessageState.DELIVERED]


async def test_a_task_that_is_cancelled_meanwhile_is_not_ended(
    services: Services, clerk: Actor, finance: AgentIdentity
) -> None:
    (task,) = await given(services, clerk, "Go.")
    (lease,) = (await services.leases.claim(finance, 1, 0)).leases
    await services.tasks.cancel(clerk, task)
    for _ in range(2):  # as the process leased it, and as it reads it
        with pytest.raises(LeaseLost):
            await services.leases.complete(finance, task, Completion(fence=lease.fence, result="late"))
    assert (await services.tasks.get(TENANT, task)).state is TaskState.CANCELLED


async def test_another_instance_or_fence_ends_nothing(
    services: Services, clerk: Actor, finance: AgentIdentity
) -> None:
    (task,) = await given(services, clerk, "Go.")
    (lease,) = (await services.leases.claim(finance, 1, 0)).leases
    beside = AgentIdentity(TENANT, finance.agent, "instance-x", "other")
    for who, fence in ((beside, lease.fence), (finance, lease.fence + 1)):
        with pytest.raises(LeaseLost):
            await services.leases.complete(who, task, Completion(fence=fence, result="no"))
    await services.leases.complete(finance, task, Completion(fence=lease.fence, result="yes"))
    assert (await services.tasks.get(TENANT, task)).result == "yes"


async def test_another_process_ends_what_this_one_leased(
    services: Services, dsn: str, tmp_path: Path, clerk: Actor, finance: AgentIdentity
) -> None:
    tasks = await given(services, clerk, "One.", "Two.")
    leases = (await services.leases.claim(finance, 2, 0)).leases
    async with opened(dsn, tmp_path) as other:
        for lease in leases:
            done = Completion(fence=lease.fence, result="42")
            await other.leases.complete(finance, lease.task_id, done)
            await services.leases.complete(finance, lease.task_id, done)
    for task in tasks:
        kinds = [event.kind for event in await services.tasks.events(TENANT, task)]
        assert kinds.count("Succeeded") == 1


async def test_what_waits_for_its_time_is_not_seen(
    services: Services, clerk: Actor, finance: AgentIdentity
) -> None:
    later = services.kernel.clock.now() + timedelta(hours=1)
    body = TaskCreate(prompt="Then.", agent="finance-1", not_before=later)
    await services.tasks.create(clerk, body)
    assert (await services.leases.claim(finance, 5, 0)).leases == ()


async def test_a_text_known_to_hold_nothing_is_looked_through_under_other_rules(services: Services) -> None:
    masker, rules = services.masker, services.chart.guard_rules(TENANT, "orbit/finance-1")
    denied = rules.model_copy(update={"deny_list": ("matter",)})
    for _ in range(2):
        assert (await masker.mask(TENANT, "s", "Mind the matter.", rules)).text == "Mind the matter."
        assert "matter" not in (await masker.mask(TENANT, "s", "Mind the matter.", denied)).text
    mail = "Write to hanna.keller@acme.example."
    found = [(await masker.mask(TENANT, session, mail, rules)).text for session in ("s", "t", "s")]
    assert all("keller" not in text for text in found)
    tokens = [text.removeprefix("Write to ").removesuffix(".") for text in found]
    values = await services.pseudonyms.restore(
        services.directory.admin_actor(TENANT), "t", tokens, frozenset({"PII", "INTERNAL"})
    )
    assert set(values.values()) == {"hanna.keller@acme.example"}
