"""Local detection and masking: the library that guards and controller use, with a throw-away key."""

import json
import secrets
from collections.abc import Iterable, Iterator, Sequence

from cadre_api.protocol.base import type_json
from cadre_detect import (
    DetectConfig,
    DetectionError,
    Detector,
    Finding,
    MaskPolicy,
    Mode,
    apply,
    make_token,
    plan,
)
from cadre_local.errors import CadreError


class LocalMasker:
    """Detects and masks on this machine; tokens mean something only within one run."""

    def __init__(self, languages: Sequence[str] = ("en",)) -> None:
        self._detector = Detector(DetectConfig(languages=tuple(languages)))
        self._key = secrets.token_bytes(32)
        try:
            self._detector.scan("language")
        except DetectionError as error:
            raise CadreError("LanguageUnknown", str(error), "correct --language") from error

    def scan(self, text: str) -> list[Finding]:
        """Disjoint findings in order."""
        return self._detector.scan(text)

    def mask(self, text: str) -> str:
        """The text with every finding replaced, credentials too."""
        made = plan(text, self._detector, MaskPolicy(default=Mode.MASK))
        tokens = {entity: make_token(self._key, "0", *entity) for entity in made.entities}
        masked = apply(made, tokens)
        assert isinstance(masked, str)
        return masked


def batch(lines: Iterable[str], masker: LocalMasker) -> Iterator[str]:
    """`{"id", "text"}` a line in, `{"id", "entities"}` a line out; raises `BadLine` naming the line."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            identifier, text = _parse(number, line)
            yield json.dumps({"id": identifier, "entities": entities(masker.scan(text))})


def entities(findings: Sequence[Finding]) -> list[type_json]:
    """Findings as plain records; positions count Unicode characters."""
    return [
        {"type": item.entity_type, "start": item.start, "end": item.end, "score": round(item.score, 3)}
        for item in findings
    ]


def _parse(number: int, line: str) -> tuple[object, str]:
    try:
        record = json.loads(line)
        return record["id"], _string(record["text"])
    except (ValueError, KeyError, TypeError) as error:
        raise CadreError(
            "BadLine", f'line {number} is not {{"id": …, "text": "…"}}', "give one such JSON object a line"
        ) from error


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
