"""Mask and restore for one agent: detection off the event loop, tokens in one batch, fail closed."""

import asyncio
import secrets
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from cadre_api.protocol.guard import AgentBundle, GuardRules, IssueItem, IssueRequest, RestoreRequest
from cadre_detect import (
    TOKEN_RE,
    Blocked,
    DetectConfig,
    DetectionError,
    SpanCache,
    restore_json,
    restore_text,
)
from cadre_detect.jsonwalk import DATA, Json, WalkRules
from cadre_detect.masking import Entity, MaskPolicy, Mode, Scanned
from cadre_detect.rules import data_class_of, detect_config, mask_policy
from cadre_guard.analysis.pool import AnalysisPool
from cadre_guard.controller.client import ControllerClient
from cadre_guard.errors import GuardError
from cadre_guard.masking.pairs import SessionPairs
from cadre_guard.masking.records import records_of

_T = TypeVar("_T")
_BATCH = 2000
_THREADS = 2


class GuardRefusedError(GuardError):
    """Nothing may leave: policy blocks it, or it could not be judged."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message, retryable=False, status=403)


@dataclass(frozen=True, slots=True)
class Masked:
    """A document that may leave, and what was replaced in it (entity type -> count)."""

    document: Json
    redactions: dict[str, int]


class Masker:
    """Shared by all sessions of an agent under one bundle; `use` puts a new bundle's rules in force."""

    def __init__(self, controller: ControllerClient) -> None:
        self._controller = controller
        self.analysis = AnalysisPool(SpanCache(secrets.token_bytes(32)))
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="mask")
        self._config: DetectConfig | None = None
        self._policy = MaskPolicy()
        self._basis = b""
        self._rules = GuardRules()

    async def start(self) -> None:
        """Start what reads texts, before its rules are known; raises GuardError."""
        try:
            await self.analysis.start()
        except DetectionError as error:
            raise GuardError(error.reason, "what reads texts does not start") from None

    async def use(self, bundle: AgentBundle) -> None:
        """Compile the bundle's rules and load models; raises GuardError and keeps the old rules."""
        try:
            policy, config = mask_policy(bundle.guard), detect_config(bundle.guard)
            await self.analysis.prepare(config)
        except DetectionError as error:
            raise GuardError(error.reason, "the bundle's recognisers cannot be used") from None
        self._config, self._policy, self._rules = config, policy, bundle.guard
        self._basis = config.revision() + repr(policy).encode()

    @property
    def alters(self) -> bool:
        """Some type is masked; else what is found is counted or refused, and no byte is changed."""
        return Mode.MASK in (self._policy.default, *self._policy.entities.values())

    def close(self) -> None:
        """End the workers and threads."""
        self.analysis.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def mask(self, pairs: SessionPairs, document: Json, rules: WalkRules = DATA) -> Masked:
        """The document with tokens for what must not leave; in doubt raises GuardRefusedError."""
        config, policy, basis = self._config, self._policy, self._basis
        if config is None:
            raise GuardRefusedError("GuardNotReady", "the guard has no rules yet")
        try:
            reading = await self._off_loop(lambda: pairs.history.open(document, rules, basis))
            scanned = Scanned(await self.analysis.scan(config, reading.questions))
            known, seen = pairs.known, pairs.learned
            await self._off_loop(lambda: reading.plan(scanned, policy, known_tokens=known, seen=seen))
            tokens = await self._tokens_for(pairs, reading.entities)
            masked = await self._off_loop(lambda: reading.apply(tokens))
        except Blocked as error:
            types = ", ".join(error.entity_types)
            raise GuardRefusedError(error.reason, f"policy blocks {types} from leaving") from None
        except DetectionError as error:
            raise GuardRefusedError(
                error.reason, "the text could not be checked, so nothing was sent"
            ) from None
        return Masked(masked, dict(reading.counts))

    async def mask_text(self, pairs: SessionPairs, text: str) -> Masked:
        """`mask` for a plain text; `document` is a string."""
        return await self.mask(pairs, text)

    async def findings(self, text: str) -> Json:
        """What the rules find in a text, as plain records; raises GuardRefusedError."""
        if self._config is None:
            raise GuardRefusedError("GuardNotReady", "the guard has no rules yet")
        try:
            found = (await self.analysis.scan(self._config, [(text, True)]))[text, True]
        except DetectionError as error:
            raise GuardRefusedError(error.reason, "the text could not be checked") from None
        return records_of(found)

    async def fetch_values(self, pairs: SessionPairs, texts: Iterable[str]) -> int:
        """Ask for the values of all tokens in texts from the controller; answers how many came."""
        missing = pairs.admit(texts)
        count = 0
        for start in range(0, len(missing), _BATCH):
            batch = tuple(missing[start : start + _BATCH])
            answer = await self._controller.restore(RestoreRequest(session_id=pairs.session_id, tokens=batch))
            for token, value in answer.values.items():
                pairs.learn_restored(token, value)
            count += len(answer.values)
        return count

    def restore_text(self, pairs: SessionPairs, text: str) -> str:
        """Known tokens within clearance back to values."""
        return restore_text(text, pairs.values)

    def restore(self, pairs: SessionPairs, document: Json) -> Json:
        """The same for a document."""
        return restore_json(document, pairs.values)

    async def _tokens_for(self, pairs: SessionPairs, entities: Collection[Entity]) -> dict[Entity, str]:
        new = [entity for entity in entities if entity not in pairs.tokens]
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            items = tuple(IssueItem(entity_type=kind, value=value) for kind, value in batch)
            answer = await self._controller.issue(IssueRequest(session_id=pairs.session_id, items=items))
            if len(answer.tokens) != len(batch) or not all(map(TOKEN_RE.fullmatch, answer.tokens)):
                raise DetectionError("TokenMissing", "the controller did not answer a token for each value")
            for entity, token in zip(batch, answer.tokens, strict=True):
                pairs.learn(entity, token, data_class_of(self._rules, entity[0]))
        return {entity: pairs.tokens[entity] for entity in entities}

    async def _off_loop(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
