"""Secrets by their shape or by what stands before them, in linear time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from cadre_detect.entities import CREDENTIALS
from cadre_detect.findings import Finding
from cadre_detect.linear import compile_pattern


@dataclass(frozen=True, slots=True)
class _Shape:
    entity_type: str
    pattern: str
    group: int = 0


_KEY_END = r"(?:-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|\z)"
_ISSUED_KEYS = (
    r"\b(?:gsk_[A-Za-z0-9]{20,}|xai-[A-Za-z0-9]{20,}|SK[0-9a-f]{32}|key-[0-9a-f]{32}|dapi[0-9a-f]{32}"
    r"|whsec_[A-Za-z0-9+/]{20,}|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|sq0(?:atp|csp)-[A-Za-z0-9_\-]{22,}"
    r"|xkeysib-[0-9a-f]{64}-[A-Za-z0-9]{16}|NRAK-[A-Z0-9]{27}|lin_api_[A-Za-z0-9]{32,}|pk-lf-[0-9a-f\-]{36}"
    r"|(?:ntn|secret)_[A-Za-z0-9]{40,}|AGE-SECRET-KEY-1[A-Z0-9]{50,}|GOCSPX-[A-Za-z0-9_\-]{24,}"
    r"|AccountKey=[A-Za-z0-9+/]{40,}={0,2}|[a-z0-9]{2,10}_pat_[A-Za-z0-9_]{20,}|r8_[A-Za-z0-9]{30,})"
)
_ISSUED_TOKENS = (
    r"\b(?:ya29\.[A-Za-z0-9_\-]{20,}|dop_v1_[0-9a-f]{64}|ATATT3[A-Za-z0-9_\-=]{40,}|dp\.(?:pt|st|ct)\.[A-Za-z0-9]{30,}"
    r"|pscale_(?:tkn|pw)_[A-Za-z0-9_\-]{30,}|sbp_[0-9a-f]{40}|glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}|sntrys_[A-Za-z0-9+/=_]{40,}"
    r"|\d{8,10}:AA[A-Za-z0-9_\-]{33}|FlyV1 [A-Za-z0-9+/=_,\-]{40,}|EAA[A-Za-z0-9]{60,}|doo_v1_[0-9a-f]{64}"
    r"|hooks\.slack\.com/services/T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]{16,})"
)
_SHAPES = (
    _Shape("PRIVATE_KEY", r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----(?s:.*?)" + _KEY_END),
    _Shape(
        "CONNECTION_STRING", r"\b[A-Za-z][A-Za-z0-9+.\-]{1,30}://[^\s:/@\"'<>]*:[^\s/@\"'<>]+@[^\s\"'<>`]+"
    ),
    _Shape(
        "CONNECTION_STRING", r"(?i)\b(?:server|data source|host)=[^\n]{0,200}?\b(?:password|pwd)=[^;\s\"']+"
    ),
    _Shape("ACCESS_TOKEN", r"\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{4,}\.[A-Za-z0-9_\-]*"),
    _Shape("API_KEY", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),
    _Shape("API_KEY", r"\bsk-[A-Za-z0-9_\-]{16,}"),
    _Shape("API_KEY", r"\b[rsp]k_(?:live|test)_[A-Za-z0-9]{10,}"),
    _Shape("API_KEY", r"\bAIza[A-Za-z0-9_\-]{35}"),
    _Shape("API_KEY", r"\bSG\.[A-Za-z0-9_\-]{16,}\.[A-Za-z0-9_\-]{16,}"),
    _Shape("API_KEY", _ISSUED_KEYS),
    _Shape("ACCESS_TOKEN", _ISSUED_TOKENS),
    _Shape("ACCESS_TOKEN", r"\bgh[pousr]_[A-Za-z0-9]{36,}"),
    _Shape("ACCESS_TOKEN", r"\bgithub_pat_[A-Za-z0-9_]{22,}"),
    _Shape("ACCESS_TOKEN", r"\bglpat-[A-Za-z0-9_\-]{20,}"),
    _Shape("ACCESS_TOKEN", r"\bxox[abeoprs]-[A-Za-z0-9\-]{10,}"),
    _Shape("ACCESS_TOKEN", r"\b(?:hf|npm)_[A-Za-z0-9]{30,}"),
    _Shape("ACCESS_TOKEN", r"\bpypi-[A-Za-z0-9_\-]{40,}"),
    _Shape("ACCESS_TOKEN", r"\bhv[sbr]\.[A-Za-z0-9_\-]{20,}"),
    _Shape("ACCESS_TOKEN", r"(?i)\b(?:bearer|basic)[ ]+([A-Za-z0-9._~+/\-]{16,}=*)", 1),
)
_ASSIGNED = (
    r"(?i)(api[_\- ]?key|secret[_\- ]?(?:access[_\- ]?)?key|secret|access[_\- ]?key"
    r"|access[_\- ]?token|auth[_\- ]?token|client[_\- ]?secret|private[_\- ]?key"
    r"|token|passphrase|passw(?:or)?d|passwort|pwd|credentials?)"
    r"[\"']?\s*(?:[:=]|=>|\bis\b|\bwas\b|\blautet\b)\s*[\"']?([^\s\"'`,;<>(){}\[\]]{6,})"
)
_NEAR = (
    r"(?i)\b(?:key|secret|token|password|passphrase|credential)s?\b[^\n]{0,30}?"
    r"(?:[^A-Za-z0-9+/_\-])([A-Za-z0-9+/_\-]{20,}={0,2})"
)
_PASSWORD_WORDS = ("pass", "pwd", "secret")
_PLACEHOLDERS = (
    "your",
    "xxx",
    "***",
    "...",
    "example",
    "changeme",
    "placeholder",
    "$",
    "%",
    "os.",
    "env.",
    "process.",
)


_COMPILED = tuple((shape, compile_pattern(shape.pattern)) for shape in _SHAPES)
_ASSIGNED_RE = compile_pattern(_ASSIGNED)
_NEAR_RE = compile_pattern(_NEAR)


def scan(text: str) -> Iterator[Finding]:
    """Secrets in a text: known shapes, `name = value` pairs, and random strings close to a telling word."""
    for shape, pattern in _COMPILED:
        for match in pattern.finditer(text):
            start, end = match.span(shape.group)
            yield Finding(shape.entity_type, start, end, 1.0, CREDENTIALS)
    for match in _ASSIGNED_RE.finditer(text):
        if _is_secret(match.group(1), match.group(2)):
            kind = "PASSWORD" if match.group(1).lower().startswith(("pass", "pwd")) else "API_KEY"
            yield Finding(kind, *match.span(2), 0.8, CREDENTIALS)
    for match in _NEAR_RE.finditer(text):
        if _looks_random(match.group(1), 3.5):
            yield Finding("API_KEY", *match.span(1), 0.6, CREDENTIALS)


def _is_secret(name: str, value: str) -> bool:
    lowered = value.lower()
    if any(lowered.startswith(mark) or mark * 2 in lowered for mark in _PLACEHOLDERS):
        return False
    if name.lower().startswith(_PASSWORD_WORDS):
        return _looks_chosen(value)
    return len(value) >= 8 and _looks_random(value, 2.5)


def _looks_chosen(value: str) -> bool:
    """A password somebody picked: not a plain word, or long."""
    bare = value.rstrip(".!?:")
    return not bare.isalpha() or len(bare) >= 20 or (bare != bare.lower() and bare != bare.capitalize())


def _looks_random(value: str, bits: float) -> bool:
    """Letters and digits mixed, with at least `bits` of entropy per character."""
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return mixed and _entropy(value) >= bits


def _entropy(value: str) -> float:
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values())
