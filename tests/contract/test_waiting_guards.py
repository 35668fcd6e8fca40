"""Guards that wait for work look when they are called: by a commit, by time alone, by a newer instance."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from cadre_api.protocol.guard import ClaimResponse
from cadre_api.protocol.tasks import TaskCreate, TaskState
from cadre_controller.errors import Conflict
from cadre_controller.ports import Actor, AgentIdentity
from cadre_controller.services.assembly import Services
from tests.contract.conftest import TENANT

LONG = 3600.0


def waiting(services: Services, identity: AgentIdentity, messages: int = 0) -> "asyncio.Task[ClaimResponse]":
    return asyncio.create_task(services.leases.claim(identity, 1, LONG, messages))


async def waits(services: Services) -> None:
    async with asyncio.timeout(120):
        while not services.leases.callers.count:
            await asyncio.sleep(0)


async def test_a_task_whose_time_comes_is_brought_to_who_waits(
    services: Services, clerk: Actor, finance: AgentIdentity
) -> None:
    claim = waiting(services, finance)
    soon = datetime.now(UTC) + timedelta(seconds=1)
    body = TaskCreate(prompt="count", agent="finance-1", not_before=soon)
    made = await services.tasks.create(clerk, body)
    (lease,) = (await asyncio.wait_for(claim, 120)).leases
    assert lease.task_id == made.view.id


async def test_a_newer_instance_sends_the_older_one_home(services: Services, finance: AgentIdentity) -> None:
    claim = waiting(services, finance)
    await waits(services)
    await services.leases.take_over(AgentIdentity(TENANT, finance.agent, "instance-b"))
    with pytest.raises(Conflict, match="InstanceRetired"):
        await asyncio.wait_for(claim, 120)
    assert services.leases.callers.count == 0


async def test_nothing_is_handed_to_who_has_hung_up(
    services: Services, clerk: Actor, finance: AgentIdentity
) -> None:
    made = await services.tasks.create(clerk, TaskCreate(prompt="count", agent="finance-1"))
    assert await services.leases.claim(finance, 1, LONG, 0, lambda: False) == ClaimResponse()
    assert (await services.tasks.get(TENANT, made.view.id)).state is TaskState.QUEUED


async def test_only_those_for_whom_there_is_something_are_called(
    services: Services, clerk: Actor, finance: AgentIdentity
) -> None:
    callers, sales = services.leases.callers, AgentIdentity(TENANT, "orbit/sales-1", "instance-s")
    await services.tasks.create(clerk, TaskCreate(prompt="count", agent="finance-1"))
    assert await callers.call() == 0
    with callers.waiting(sales):
        assert await callers.call() == 0
        with callers.waiting(finance), callers.waiting(finance):
            assert await callers.call() == 1
    assert callers.count == 0
