"""Masks text before anything of it is stored. Detection is CPU work and runs in threads; tokens come in one
batch."""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Generic, TypeVar, cast

from cadre_api.protocol.guard import GuardRules, IssueItem
from cadre_controller.errors import Denied, MaskingFailed
from cadre_controller.ports import MaskedJson, MaskedText, type_json_value
from cadre_controller.services.kernel import system_actor
from cadre_controller.services.pseudonyms import PseudonymService
from cadre_detect import (
    Blocked,
    DetectConfig,
    DetectionError,
    Detector,
    Json,
    MaskPlan,
    MaskPolicy,
    Mode,
    SpanCache,
    apply,
    find_tokens,
    plan,
)
from cadre_detect.rules import detect_config, mask_policy
from cadre_detect.tokens import suffixes

Result = TypeVar("Result")

DETECTORS = 32
RULES = 4096
CLEAN = 20_000
WORKERS = 2


class PerRules(Generic[Result]):
    """What rules come to, worked out once for each object: comparing the names of a whole company would cost
    more than a short text's masking. Rules never change."""

    def __init__(self, make: Callable[[GuardRules], Result]) -> None:
        self._make = make
        self._known: OrderedDict[int, tuple[GuardRules, Result]] = OrderedDict()

    def __call__(self, rules: GuardRules) -> Result:
        """The same for the same object."""
        known = self._known.get(id(rules))
        if known is None or known[0] is not rules:
            known = self._known[id(rules)] = (rules, self._make(rules))
        self._known.move_to_end(id(rules))
        while len(self._known) > RULES:
            self._known.popitem(last=False)
        return known[1]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """Rules ready to mask by."""

    detector: Detector
    revision: bytes
    """What a text's findings depend on."""
    policy: MaskPolicy


class DetectMasker:
    """The Masker on cadre_detect and the pseudonym service."""

    def __init__(self, pseudonyms: PseudonymService) -> None:
        self._pseudonyms = pseudonyms
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="detect")
        self._spans = SpanCache(secrets.token_bytes(32))
        self._detectors: OrderedDict[DetectConfig, tuple[Detector, bytes]] = OrderedDict()
        self._prepared = PerRules(self._prepare)
        self._clean: OrderedDict[bytes, None] = OrderedDict()
        """Digests of texts in which there was nothing, not even what looks like a token."""

    async def warm_up(self) -> None:
        """Load the language model now, so that the first task does not wait for it. Raises MaskingFailed."""
        await self._in_thread(self._detector(detect_config(GuardRules()))[0].warm_up)

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def mask(self, tenant: str, session_id: str, text: str, rules: GuardRules) -> MaskedText:
        """Masked text; its tokens are granted to the session. Raises MaskingFailed, Denied(…Blocked)."""
        masked, counts = await self._mask(tenant, session_id, text, rules)
        return MaskedText(cast("str", masked), counts)

    async def mask_json(
        self, tenant: str, session_id: str, value: type_json_value, rules: GuardRules
    ) -> MaskedJson:
        """Every string leaf masked. Raises MaskingFailed, Denied(…Blocked)."""
        masked, counts = await self._mask(tenant, session_id, cast("Json", value), rules)
        return MaskedJson(masked, counts)

    async def leftovers(self, text: str, rules: GuardRules) -> Sequence[str]:
        """Entity types that a mask would still replace in text whose tokens are fine. Raises MaskingFailed.

        Patterns, checksums, secrets and chart names only: a name that a language model of ours guesses from
        the words around a token would refuse calls that are masked well.
        """
        tokens = frozenset(s for match in find_tokens(text) for s in suffixes(match.text))
        detector, _ = self._detector(replace(detect_config(rules), ner=False))
        policy = mask_policy(rules)
        made = await self._in_thread(lambda: plan(text, detector, policy, known_tokens=tokens))
        return sorted({entity_type for entity_type, _ in made.entities})

    async def _mask(
        self, tenant: str, session_id: str, value: Json, rules: GuardRules
    ) -> tuple[Json, dict[str, int]]:
        ready = self._prepared(at_least_mask(rules))
        digest = self._spans.digest(ready.revision, value) if isinstance(value, str) else b""
        if digest in self._clean:
            self._clean.move_to_end(digest)
            return value, {}
        candidates = token_candidates(value)
        known = await self._pseudonyms.known(tenant, session_id, candidates)
        made, masked = await self._in_thread(lambda: _planned(value, ready, known))
        if made.entities:
            entities = sorted(made.entities)
            items = [IssueItem(entity_type=kind, value=text) for kind, text in entities]
            tokens = await self._pseudonyms.issue(system_actor(tenant, "masker"), session_id, items)
            masked = await self._in_thread(lambda: apply(made, dict(zip(entities, tokens, strict=True))))
        elif digest and not candidates and not made.counts and masked == value:
            self._clean[digest] = None
            if len(self._clean) > CLEAN:
                self._clean.popitem(last=False)
        return masked, dict(made.counts)

    def _prepare(self, rules: GuardRules) -> _Prepared:
        return _Prepared(*self._detector(detect_config(rules)), mask_policy(rules))

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        """Run detection off the event loop; whatever goes wrong in it, nothing gets through."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except Blocked as error:
            raise Denied(
                error.reason,
                f"the text holds what policy blocks: {', '.join(sorted(error.entity_types))}",
                "remove it, or store the credential in the keystore and refer to it",
            ) from None
        except DetectionError as error:
            raise MaskingFailed(
                error.reason, "detection failed; nothing was stored", "retry; see the log"
            ) from None
        except Exception as error:
            raise MaskingFailed(
                "DetectorError",
                f"detection failed ({type(error).__name__}); nothing was stored",
                "see the log",
            ) from None

    def _detector(self, config: DetectConfig) -> tuple[Detector, bytes]:
        """One per configuration, and its revision; compiling terms and patterns is worth keeping."""
        if config in self._detectors:
            self._detectors.move_to_end(config)
        else:
            self._detectors[config] = (Detector(config, self._spans), config.revision())
            while len(self._detectors) > DETECTORS:
                self._detectors.popitem(last=False)
        return self._detectors[config]


def _planned(value: Json, ready: _Prepared, known: frozenset[str]) -> tuple[MaskPlan, Json]:
    """The plan, and what it makes of the document where it needs no tokens."""
    made = plan(value, ready.detector, ready.policy, known_tokens=known)
    return made, value if made.entities else apply(made, {})


@PerRules
def at_least_mask(rules: GuardRules) -> GuardRules:
    """Storing is stricter than the agent's guard: what it merely detects is masked here."""
    lax = {Mode.DISABLED.value, Mode.DETECT.value}
    return rules.model_copy(
        update={
            "mode": Mode.MASK.value if rules.mode in lax else rules.mode,
            "entity_actions": {
                kind: Mode.MASK.value if action == Mode.DETECT.value else action
                for kind, action in rules.entity_actions.items()
            },
        }
    )


@PerRules
def storable(rules: GuardRules) -> GuardRules:
    """For what is over and must be kept: everything found is masked, nothing is refused for it."""
    kept = at_least_mask(rules)
    actions = {
        kind: Mode.MASK.value if action == Mode.BLOCK.value else action
        for kind, action in kept.entity_actions.items()
    }
    return kept.model_copy(update={"mode": Mode.MASK.value, "entity_actions": actions})


def token_candidates(value: Json) -> frozenset[str]:
    """Everything in a document that could be a token."""
    return frozenset(s for text in _texts(value) for m in find_tokens(text) for s in suffixes(m.text))


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
