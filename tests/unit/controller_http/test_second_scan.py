"""The gateway's second scan reads what is new in a request, and all of it whenever its rules change."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from typing_extensions import override

from cadre_api.protocol.guard import GuardRules
from cadre_controller.gateways.model.apis import CHAT
from cadre_controller.gateways.model.request import ModelRequest, parse_request
from cadre_controller.gateways.model.scan import EgressScan
from cadre_controller.services.masking import DetectMasker
from cadre_core.model import EffectiveAgent
from tests.unit.core.build import snapshot

RULES = GuardRules()
MAIL = "write to hanna.keller@acme.example"


class Recorder(DetectMasker):
    """The real one; notes what it is asked. The second scan needs no pseudonyms."""

    def __init__(self) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self.asked: list[str] = []

    @override
    async def leftovers(self, text: str, rules: GuardRules) -> Sequence[str]:
        self.asked.append(text)
        return await super().leftovers(text, rules)


@pytest.fixture
def agent() -> EffectiveAgent:
    return next(iter(snapshot().agents.values()))


def request(*contents: str) -> ModelRequest:
    messages = [{"role": "user", "content": content} for content in contents]
    return parse_request(CHAT, {"model": "m", "messages": messages}, 100)


async def test_what_was_clean_is_not_read_again(agent: EffectiveAgent) -> None:
    masker = Recorder()
    scan = EgressScan(masker)
    try:
        assert await scan.leftovers(agent, RULES, request("hello there")) == ()
        assert await scan.leftovers(agent, RULES, request("hello there", "and now this")) == ()
        assert await scan.leftovers(agent, RULES, request("hello there", "and now this")) == ()
    finally:
        masker.close()

    assert len(masker.asked) == 2
    assert "hello there" in masker.asked[0]
    assert "hello there" not in masker.asked[1]
    assert "and now this" in masker.asked[1]


async def test_what_was_found_is_found_again(agent: EffectiveAgent) -> None:
    masker = Recorder()
    scan = EgressScan(masker)
    try:
        for _ in range(2):
            assert await scan.leftovers(agent, RULES, request("hello there", MAIL)) == ("EMAIL_ADDRESS",)
        assert await scan.leftovers(agent, RULES, request("hello there")) == ()
        assert await scan.leftovers(agent, RULES, request("hello there", MAIL)) == ("EMAIL_ADDRESS",)
    finally:
        masker.close()

    assert len(masker.asked) == 4


async def test_other_rules_or_tools_read_all_again(agent: EffectiveAgent) -> None:
    masker = Recorder()
    scan = EgressScan(masker)
    denying = GuardRules(deny_list=("project heron",))
    try:
        assert await scan.leftovers(agent, RULES, request("about project heron")) == ()
        assert await scan.leftovers(agent, denying, request("about project heron")) == ("DENY_LIST",)
        assert await scan.leftovers(agent, RULES, request("about project heron")) == ()
        assert await scan.leftovers(replace(agent, tools=()), RULES, request("about project heron")) == ()
    finally:
        masker.close()

    assert len(masker.asked) == (4 if agent.tools else 3)
