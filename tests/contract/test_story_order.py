"""A story is read on from the last number that was seen, whichever controller writes the next."""

import asyncio

import pytest

from cadre_api.protocol.tasks import TaskCreate
from cadre_controller.ports import Actor
from cadre_controller.services.assembly import Services
from cadre_controller.store.loader import load_queries
from cadre_controller.store.work import Work
from tests.contract.conftest import TENANT

pytestmark = pytest.mark.postgres

_WAITS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


async def test_a_later_number_is_not_committed_before_an_earlier_one(
    services: Services, clerk: Actor
) -> None:
    body = TaskCreate(prompt="Close the month.", role="finance")
    task = (await services.tasks.create(clerk, body)).view.id
    kernel = services.kernel
    seen = max(event.seq for event in await services.tasks.events(TENANT, task))
    first = kernel.event(TENANT, task, "note", "first")
    second = Work(TENANT, (kernel.event(TENANT, task, "note", "second"),))
    async with (
        kernel.db.connection((TENANT,)) as other,
        asyncio.TaskGroup() as group,
        other.transaction(),
    ):
        await other.fetch(load_queries()[first.query], *([value] for value in (0, *first.row)))
        later = group.create_task(kernel.submit(second))
        async with asyncio.timeout(60):
            while not (later.done() or await other.fetchval(_WAITS)):
                await asyncio.sleep(0.01)
        assert await services.tasks.events(TENANT, task, after=seen) == ()
    told = await services.tasks.events(TENANT, task, after=seen)
    assert [event.summary for event in told] == ["first", "second"]
