"""Local detection and masking: the library that guards and controller use, with keys of this machine."""

import secrets
from collections.abc import Mapping, Sequence

from cadre_api.protocol.base import type_json
from cadre_detect import (
    Blocked,
    DetectConfig,
    DetectionError,
    Detector,
    Finding,
    MaskPolicy,
    Mode,
    apply,
    make_token,
    plan,
    restore_text,
)
from cadre_detect.entities import DEFAULT_ENTITIES, PHI_ENTITIES
from cadre_local.errors import CadreError

KEY_VERSION = "0"


class LocalMasker:
    """Detects and masks on this machine; with a `key` equal values get equal tokens in every run."""

    def __init__(
        self,
        languages: Sequence[str] = ("en",),
        *,
        config: DetectConfig | None = None,
        policy: MaskPolicy | None = None,
        key: bytes = b"",
    ) -> None:
        """Raises CadreError(LanguageUnknown or RecognizerInvalid) for rules that cannot work."""
        everything = DetectConfig(languages=tuple(languages), entities=DEFAULT_ENTITIES | PHI_ENTITIES)
        self._policy = policy or MaskPolicy(default=Mode.MASK)
        self._key = key or secrets.token_bytes(32)
        try:
            self._detector = Detector(config or everything)
            self._detector.scan("language")
        except DetectionError as error:
            fix = "correct --language" if error.reason.startswith("Language") else "correct the rules"
            reason = "LanguageUnknown" if error.reason.startswith("Language") else error.reason
            raise CadreError(reason, str(error), fix) from error

    def warm_up(self) -> None:
        """Load models now, so that workers made from this process share them."""
        self._detector.warm_up()

    def scan(self, text: str) -> list[Finding]:
        """Disjoint findings in order; raises DetectionError when the text cannot be judged."""
        return self._detector.scan(text)

    def mask(self, text: str) -> tuple[str, Mapping[str, str]]:
        """The masked text and what each of its tokens stands for; raises CadreError where the rules block."""
        try:
            made = plan(text, self._detector, self._policy)
            tokens = {entity: make_token(self._key, KEY_VERSION, *entity) for entity in made.entities}
            masked = apply(made, tokens)
        except Blocked as error:
            types = ", ".join(error.entity_types)
            raise CadreError(error.reason, f"the rules block {types}", "remove it from the text") from error
        except DetectionError as error:
            raise CadreError(error.reason, "the text could not be checked", "see the message") from error
        assert isinstance(masked, str)
        return masked, {token: value for (_, value), token in tokens.items()}


def restore(text: str, pairs: Mapping[str, str]) -> str:
    """Every known token back to its value, in one pass."""
    return restore_text(text, pairs)


def entities(findings: Sequence[Finding]) -> list[type_json]:
    """Findings as plain records; positions count Unicode characters."""
    return [
        {"type": item.entity_type, "start": item.start, "end": item.end, "score": round(item.score, 3)}
        for item in findings
    ]
