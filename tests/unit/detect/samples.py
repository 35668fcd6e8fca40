"""Values and a tokenising helper shared by the detection tests."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable, Mapping
from urllib.parse import quote

from cadre_detect import DetectConfig, Detector, MaskPlan, Recognizer, Term, make_token
from cadre_detect.masking import Entity

KEY = b"unit-test-tenant-key"

CONFIG = DetectConfig(
    terms=(
        Term("Hanna Keller", "PERSON"),
        Term("Jörg von Müller", "PERSON"),
        Term("hanna.keller@acme.example", "EMAIL_ADDRESS"),
    ),
    allow_list=("Acme",),
    deny_list=(Term("Project Nightfall", "PROJECT"),),
    recognizers=(Recognizer("project-code", r"PRJ-\d{5}", "PROJECT"),),
    ner=False,
)

SEEDED: Mapping[str, str] = {
    "PERSON": "Hanna Keller",
    "EMAIL_ADDRESS": "hanna.keller@acme.example",
    "IBAN_CODE": "DE89370400440532013000",
    "CREDIT_CARD": "4111 1111 1111 1111",
    "API_KEY": "sk-proj-abcd1234efgh5678ijkl",
    "PHONE_NUMBER": "+49 30 901820",
}


def _percent_all(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


ENCODINGS: Mapping[str, Callable[[str], str]] = {
    "raw": lambda text: text,
    "percent": lambda text: quote(text, safe=""),
    "percent-all": _percent_all,
    "percent-twice": lambda text: quote(quote(text, safe=""), safe=""),
    "html": lambda text: html.escape(text).replace("@", "&#64;").replace(" ", "&#x20;"),
    "json": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    "json-string": json.dumps,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64-unpadded": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "hex": lambda text: text.encode().hex(),
}


def patterns_only() -> Detector:
    """A detector without the language model."""
    return Detector(CONFIG)


def tokens_for(plan: MaskPlan) -> dict[Entity, str]:
    """What the controller would issue."""
    return {entity: make_token(KEY, "1", *entity) for entity in plan.entities}


def values_of(tokens: Mapping[Entity, str]) -> dict[str, str]:
    """What a guard caches: token to value."""
    return {token: value for (_, value), token in tokens.items()}
