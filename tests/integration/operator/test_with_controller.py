"""The operator's client against the real controller: a chart is put in force, refused, asked about."""

from pathlib import Path

import pytest

from cadre_api.v1alpha1 import Resource
from cadre_core.compile import compile_chart
from cadre_core.load import parse_documents
from cadre_core.resources import Resources
from cadre_operator.chart.evaluate import key_of
from cadre_operator.chart.waiting import without_waiting
from cadre_operator.controller import ChartPush, ChartRejectedError, ControllerError, HttpController
from cadre_operator.keys import Key
from tests.integration.controller.conftest import database as database
from tests.integration.controller.conftest import model as model
from tests.integration.controller.conftest import postgres as postgres
from tests.integration.controller.conftest import stand as stand
from tests.integration.controller.stand import Stand

pytestmark = pytest.mark.postgres


def chart(stand: Stand) -> dict[Key, Resource]:
    """The stand's chart as the operator holds it."""
    resources, problems = parse_documents([("chart.yaml", stand.chart_text())])
    assert problems == ()
    return {key_of(m): m for found in resources.objects.values() for m in found.values()}


def push(models: dict[Key, Resource], held: dict[Key, Resource] | None = None) -> ChartPush:
    """A push of these objects."""
    result = compile_chart(Resources.of_models([*models.values(), *(held or {}).values()]))
    revision = result.snapshot.revision if result.snapshot else ""
    return ChartPush("co", revision, models, held or {}, dict.fromkeys(held or {}, ""))


async def client(stand: Stand, folder: Path) -> HttpController:
    """The operator's client, with an administrator's token."""
    token = folder / "operator-token"
    token.write_text((await stand.person()).token)
    return HttpController(f"http://127.0.0.1:{stand.serving.public_port}", token)


async def test_a_chart_is_acknowledged_with_its_revision(stand: Stand, tmp_path: Path) -> None:
    controller = await client(stand, tmp_path)
    models = chart(stand)
    await controller.push(push(models))
    agents = [key.path for key in models if key.kind == "Agent"]
    assert set(await controller.demand("co")) == set(agents)
    await controller.close()


async def test_an_agent_that_waits_is_not_given_to_the_controller(stand: Stand, tmp_path: Path) -> None:
    controller = await client(stand, tmp_path)
    models = chart(stand)
    waiting = next(key for key in sorted(models) if key.kind == "Agent")
    await controller.push(push(without_waiting(models, [waiting]), {waiting: models[waiting]}))
    assert waiting.path not in await controller.demand("co")
    await controller.close()


async def test_a_broken_chart_is_refused_with_its_reasons(stand: Stand, tmp_path: Path) -> None:
    controller = await client(stand, tmp_path)
    models = {key: m for key, m in chart(stand).items() if key.kind != "RoleProfile"}
    with pytest.raises(ChartRejectedError, match="there is no RoleProfile"):
        await controller.push(push(models))
    await controller.close()


async def test_without_a_valid_token_it_is_as_if_it_were_not_there(stand: Stand, tmp_path: Path) -> None:
    controller = await client(stand, tmp_path)
    (tmp_path / "operator-token").write_text("wrong")
    with pytest.raises(ControllerError, match="401"):
        await controller.push(push(chart(stand)))
    await controller.close()
