"""Mask and restore without a controller: tokens are made here, and a request restores only its own."""

import hmac
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from cadre_api.protocol.guard import GuardRules
from cadre_detect import Blocked, DetectionError, Json, SpanCache, WalkRules, apply, make_token, plan
from cadre_detect.jsonwalk import DATA
from cadre_detect.linking import People
from cadre_detect.masking import Scanned, questions_of
from cadre_detect.rules import detect_config, mask_policy
from cadre_guard.analysis.pool import AnalysisPool
from cadre_guard.jsonvalue import size_within
from cadre_guard.masking.masker import GuardRefusedError
from cadre_guard.masking.records import records_of
from cadre_guard.masking.room import ROOM_NEW, run

VERSION = "0"


@dataclass(frozen=True, slots=True)
class MaskedRequest:
    """What may leave, and what its tokens stand for."""

    document: Json
    values: dict[str, str]
    counts: Mapping[str, int]


class StandaloneMasker:
    """One set of rules, one key."""

    def __init__(self, rules: GuardRules, key: bytes, workers: int = 1) -> None:
        """Raises DetectionError for rules of a later version."""
        self.rules = rules
        self.analysis = AnalysisPool(SpanCache(secrets.token_bytes(32)), workers)
        self.blocked: Counter[str] = Counter()
        """Requests refused, by entity type or reason."""
        self.found: Counter[str] = Counter()
        """Findings by entity type."""
        self._key = key
        self._config = detect_config(rules)
        self._policy = mask_policy(rules)
        self._people = People([])

    async def start(self) -> None:
        """Load models; raises DetectionError when the rules cannot be used."""
        await self.analysis.prepare(self._config)

    def close(self) -> None:
        """End the workers."""
        self.analysis.close()

    async def mask(self, document: Json, rules: WalkRules = DATA, salt: str = "") -> MaskedRequest:
        """The masked document; in doubt raises GuardRefusedError. A `salt` gives tokens of its own."""
        try:
            questions = questions_of(document, rules)
            scanned = Scanned(await self.analysis.scan(self._config, questions))
            here = size_within(document, ROOM_NEW)
            planned = await run(here, lambda: plan(document, scanned, self._policy, rules=rules))
            tokens = {entity: self.token(*entity, salt=salt) for entity in planned.entities}
            masked = await run(here, lambda: apply(planned, tokens))
        except Blocked as error:
            self.blocked.update(error.entity_types)
            types = ", ".join(error.entity_types)
            raise GuardRefusedError(error.reason, f"policy blocks {types} from leaving") from None
        except DetectionError as error:
            self.blocked[error.reason] += 1
            raise GuardRefusedError(
                error.reason, "the text could not be checked, so nothing was sent"
            ) from None
        self.found.update(planned.counts)
        values = {token: value for (_, value), token in tokens.items()}
        return MaskedRequest(masked, values, dict(planned.counts))

    async def findings(self, text: str) -> Json:
        """Entities of a text as plain records; raises GuardRefusedError."""
        try:
            found = (await self.analysis.scan(self._config, [(text, True)]))[text, True]
        except DetectionError as error:
            raise GuardRefusedError(error.reason, "the text could not be checked") from None
        return records_of(found)

    def token(self, entity_type: str, value: str, *, salt: str = "") -> str:
        """The token of a value."""
        key = hmac.new(self._key, salt.encode(), sha256).digest() if salt else self._key
        return make_token(key, VERSION, entity_type, value, self._people.link(entity_type, value))
