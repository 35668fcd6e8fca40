"""Mask and restore for one agent: detection off the event loop, tokens in one batch, fail closed."""

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from cadre_api.protocol.guard import AgentBundle, GuardRules, IssueItem, IssueRequest, RestoreRequest
from cadre_core.lapse import in_force
from cadre_detect import (
    TOKEN_RE,
    Blocked,
    DetectConfig,
    DetectionError,
    restore_json,
    restore_text,
)
from cadre_detect.jsonwalk import DATA, Json, WalkRules
from cadre_detect.masking import Entity, MaskPolicy, Mode, Scanned
from cadre_detect.rules import data_class_of, detect_config, mask_policy
from cadre_detect.terms import fold
from cadre_guard.analysis.scanner import Scanner
from cadre_guard.controller.client import ControllerClient
from cadre_guard.errors import GuardError
from cadre_guard.jsonvalue import size_within
from cadre_guard.masking.pairs import SessionPairs
from cadre_guard.masking.records import records_of
from cadre_guard.masking.room import ROOM_KNOWN, ROOM_NEW, run

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

    def __init__(self, controller: ControllerClient, scanner: Scanner) -> None:
        self._controller = controller
        self.analysis = scanner
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="mask")
        self._config: DetectConfig | None = None
        self._policy = MaskPolicy()
        self._basis = b""
        self._rules = GuardRules()
        self._lapse: datetime | None = None
        """When the next ruling of a person ends."""

    async def start(self) -> None:
        """Start what reads texts, before its rules are known; raises GuardError."""
        try:
            await self.analysis.start()
        except DetectionError as error:
            raise GuardError(error.reason, "what reads texts does not start") from None

    async def use(self, bundle: AgentBundle) -> None:
        """Compile the bundle's rules and load models; raises GuardError and keeps the old rules."""
        try:
            await self._compile(bundle.guard)
        except DetectionError as error:
            raise GuardError(error.reason, "the bundle's recognisers cannot be used") from None

    async def _compile(self, stated: GuardRules) -> None:
        rules, lapse = in_force(stated, datetime.now(UTC))
        policy, config = mask_policy(rules), detect_config(rules)
        await self.analysis.prepare(config)
        self._config, self._policy, self._rules, self._lapse = config, policy, rules, lapse
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
        if self._config is None:
            raise GuardRefusedError("GuardNotReady", "the guard has no rules yet")
        try:
            config, policy, basis = await self._in_force()
            here = size_within(document, ROOM_KNOWN)
            reading = await run(here, lambda: pairs.history.open(document, rules, basis), self._threads)
            asked = reading.questions
            scanned = Scanned(await self.analysis.scan(config, asked) if asked else {})
            here = here and sum(len(text) for text, _ in asked) <= ROOM_NEW
            known, seen = pairs.known, _still_masked(pairs.learned, config)
            await run(
                here, lambda: reading.plan(scanned, policy, known_tokens=known, seen=seen), self._threads
            )
            tokens = await self._tokens_for(pairs, reading.entities)
            masked = await run(here, lambda: reading.apply(tokens), self._threads)
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
            config, _policy, _basis = await self._in_force()
            found = (await self.analysis.scan(config, [(text, True)]))[text, True]
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

    async def _in_force(self) -> tuple[DetectConfig, MaskPolicy, bytes]:
        """What is asked now; a ruling ends at its time, also while no new bundle comes."""
        if self._lapse is not None and self._lapse <= datetime.now(UTC):
            await self._compile(self._rules)
        assert self._config is not None
        return self._config, self._policy, self._basis

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


def _still_masked(learned: Sequence[Entity], config: DetectConfig) -> Sequence[Entity]:
    """Values of the session that are masked wherever they stand: all but those released since."""
    released = {(term.entity_type, fold(term.text)) for term in config.released}
    if not released:
        return learned
    return [entity for entity in learned if (entity[0], fold(entity[1])) not in released]
