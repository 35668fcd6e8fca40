"""The second scan: the gateway never trusts that the guard masked, and looks again before anything leaves
the house.
"""

import json
import secrets
from collections.abc import Iterator, Mapping

from cadre_api.protocol.guard import GuardRules
from cadre_controller.gateways.model.request import ModelRequest
from cadre_controller.ports import Masker
from cadre_controller.tokens_in import classes_in
from cadre_core.model import EffectiveAgent
from cadre_detect import SpanCache

_REMEMBERED = 20_000


class EgressScan:
    """Looks for what should have been a token. A part of a request that was clean is known by its digest."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._clean = SpanCache(secrets.token_bytes(32), max_entries=_REMEMBERED)
        self._revisions: dict[str, tuple[object, GuardRules, bytes]] = {}

    async def leftovers(
        self, agent: EffectiveAgent, rules: GuardRules, request: ModelRequest
    ) -> tuple[str, ...]:
        """Entity types that are still there in clear; raises MaskingFailed when it cannot tell."""
        revision = self._revision(agent, rules)
        digests = {self._clean.digest(revision, "\n\n".join(part)): part for part in request.parts()}
        fresh = {digest: part for digest, part in digests.items() if self._clean.get(digest) is None}
        if not fresh:
            return ()
        known = frozenset(_leaves([dict(tool.input_schema) for tool in agent.tools]))
        known |= {tool.description for tool in agent.tools}
        texts = dict.fromkeys(text for part in fresh.values() for text in part if text not in known)
        left = tuple(sorted(set(await self._masker.leftovers("\n\n".join(texts), rules))))
        for digest in fresh if not left else ():
            self._clean.put(digest, ())
        return left

    def _revision(self, agent: EffectiveAgent, rules: GuardRules) -> bytes:
        """Of all that decides whether a text is clean: under another one nothing is known."""
        tools, under, revision = self._revisions.get(agent.key, (None, rules, b""))
        if tools != agent.tools or under != rules:
            revision = secrets.token_bytes(16)
            self._revisions[agent.key] = agent.tools, rules, revision
        return revision

    def classes_of_tokens(self, agent: EffectiveAgent, request: ModelRequest) -> frozenset[str]:
        """The data classes that the tokens in a request stand for."""
        return classes_in(dict(request.body), agent.guard.entity_classes)


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    elif value is not None and not isinstance(value, bool):
        yield json.dumps(value)
