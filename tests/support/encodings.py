"""Looking for a value in bytes that must not hold it, however it may be written there.

A leak test that looks only for the plain text passes while the value leaves percent-encoded. Each form
below has been the way out of some filter; the search ignores letter case and separators where the form does.
"""

import base64
import html
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

_NUMERIC = re.compile(r"[\d\s().+/-]+")


def appears(value: str, blob: bytes) -> list[str]:
    """Return the forms in which `value` appears in `blob`; an empty list when it does not."""
    lowered = blob.lower()
    found = [name for name, needle in _forms(value) if needle.lower() in lowered]
    found += [name for name, needle in _base64_forms(value) if needle in blob]
    return found + _without_separators(value, lowered)


def leaks(values: Iterable[str], blob: bytes) -> dict[str, list[str]]:
    """Return each value that appears in `blob`, with its forms."""
    hits = {value: appears(value, blob) for value in values}
    return {value: forms for value, forms in hits.items() if forms}


def _forms(value: str) -> Iterator[tuple[str, bytes]]:
    escaped = json.dumps(value)[1:-1]
    yield "raw", value.encode()
    yield "raw, decomposed", unicodedata.normalize("NFD", value).encode()
    yield "upper", value.upper().encode()
    yield "json", escaped.encode()
    yield "json twice", json.dumps(escaped)[1:-1].encode()
    yield "json, every character", "".join(f"\\u{ord(c):04x}" for c in value).encode()
    yield "percent", quote(value, safe="").encode()
    yield "percent, every byte", "".join(f"%{byte:02x}" for byte in value.encode()).encode()
    yield "percent twice", quote(quote(value, safe=""), safe="").encode()
    yield "form", quote_plus(value).encode()
    yield "html", html.escape(value, quote=True).encode()
    yield "html, decimal", "".join(f"&#{ord(c)};" for c in value).encode()
    yield "html, hexadecimal", "".join(f"&#x{ord(c):x};" for c in value).encode()
    yield "hexadecimal", value.encode().hex().encode()
    yield "utf-16", value.encode("utf-16-le")
    yield "reversed", value[::-1].encode()


def _base64_forms(value: str) -> Iterator[tuple[str, bytes]]:
    """Each alignment: only the characters that depend on the value alone."""
    raw = value.encode()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw)
        start = -(-shift * 8 // 6)
        end = (shift + len(raw)) * 8 // 6
        needle = encoded[start:end]
        if len(needle) >= 6:
            yield f"base64, offset {shift}", needle
            yield f"base64url, offset {shift}", needle.replace(b"+", b"-").replace(b"/", b"_")


def _without_separators(value: str, lowered: bytes) -> list[str]:
    """Numbers and account numbers count with any spacing: `4111 1111…`, `4111-1111…`, `41111111…`."""
    compact = re.sub(r"[^0-9A-Za-z]", "", value).lower()
    digits = sum(character.isdigit() for character in compact)
    if digits < 8 or (not _NUMERIC.fullmatch(value) and not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9 ]+", value)):
        return []
    spaced = b"[ ._/()-]{0,2}".join(re.escape(bytes([byte])) for byte in compact.encode())
    return ["any spacing"] if re.search(spaced, lowered) else []
