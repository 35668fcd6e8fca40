"""Budgets over HTTP and by the command line."""

import asyncio
import json

from click.testing import CliRunner, Result

from cadre_local.cli.program import cli
from tests.integration.controller.stand import FIN, Stand


async def test_a_head_sees_and_asks(stand: Stand) -> None:
    anna, clara = await stand.person("anna"), await stand.person("clara")
    held = await stand.held()
    assert (await held.chat("hello")).status == 200
    (root,) = (await anna.get("/api/v1/budgets")).json["items"]  # type: ignore[misc]
    assert (root["node"], root["amount"], root["spent"]) == ("co/co", "100.00", "0.002")
    assert (await clara.get("/api/v1/budgets")).json == {"items": []}
    bad = await anna.post("/api/v1/budgets/what-if", {"agent": FIN, "amount": "-1"})
    assert bad.status == 400 and "amount" in str(bad["detail"])

    async def cadre(*words: str) -> Result:
        env = {"CADRE_SERVER": anna.base, "CADRE_TOKEN": anna.token, "CADRE_HOME": str(stand.root)}
        return await asyncio.to_thread(CliRunner().invoke, cli, ["budgets", *words], env=env)

    assert "co/co  Ok  0.0 % a month: 0.002 of 100.00 USD" in (await cadre()).output
    fits = await cadre("--agent", FIN, "--amount", "99.9", "-o", "json")
    assert (fits.exit_code, json.loads(fits.output)["fits"]) == (0, True)
    much = await cadre("--agent", FIN, "--amount", "100")
    assert "no room at co/co" in much.output
