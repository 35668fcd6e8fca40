"""The second scan: the gateway never trusts that the guard masked, and looks again before anything leaves
the house.
"""

import json
from collections.abc import Iterator, Mapping

from cadre_api.protocol.guard import GuardRules
from cadre_controller.gateways.model.request import ModelRequest
from cadre_controller.ports import Masker
from cadre_controller.tokens_in import classes_in
from cadre_core.model import EffectiveAgent


class EgressScan:
    """Looks for what should have been a token."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker

    async def leftovers(
        self, agent: EffectiveAgent, rules: GuardRules, request: ModelRequest
    ) -> tuple[str, ...]:
        """Entity types that are still there in clear; raises MaskingFailed when it cannot tell."""
        known = frozenset(_leaves([dict(tool.input_schema) for tool in agent.tools]))
        known |= {tool.description for tool in agent.tools}
        texts = dict.fromkeys(text for text in request.texts() if text not in known)
        return tuple(sorted(set(await self._masker.leftovers("\n\n".join(texts), rules))))

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
