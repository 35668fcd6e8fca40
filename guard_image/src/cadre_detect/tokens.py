"""The token grammar: what stands in for a value, how it is made, found and told from its own beginnings.

A token is TAG `x` VERSION ID: 2 to 16 letters A-Z, a literal `x`, one character naming the key version, 16
characters of Crockford base32 (80 bits). Letters and digits alone survive JSON, Markdown, URLs and every
tokenizer unescaped; only the tag has capitals, so two tokens can never overlap and a reader of a stream knows
a token's end without looking further.

The id is keyed over the *exact* text of a value. Normalising first would give two spellings one token, and
then one of them could not be restored exactly.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cadre_detect.entities import tag_for

ID_LENGTH = 16
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LINK_LENGTH = 6
"""Characters (30 bits) that linked tokens share; 50 bits tell the values of one person apart."""
DOMAIN = b"cadre/token/v1"
LINK_DOMAIN = b"cadre/link/v1"
MAX_TOKEN = 16 + 2 + ID_LENGTH

TOKEN_RE = re.compile(rf"[A-Z]{{2,16}}x[0-9a-z][{ALPHABET}]{{{ID_LENGTH}}}")
_BEGINNING = re.compile(rf"[A-Z]{{1,16}}\Z|[A-Z]{{2,16}}x(?:[0-9a-z][{ALPHABET}]{{0,{ID_LENGTH - 1}}})?\Z")


@dataclass(frozen=True, slots=True)
class TokenMatch:
    """A token-shaped span of a text."""

    start: int
    end: int
    text: str


def make_token(key: bytes, version: str, entity_type: str, value: str, link: str = "") -> str:
    """The token of a value under a tenant key (HMAC-SHA256, RFC 2104, over length-prefixed fields).

    Values of one `link` have tokens whose ids begin with the same 6 characters. Raises ValueError for an
    empty key or a version that is not one character 0-9 or a-z.
    """
    if not key:
        raise ValueError("a token key must not be empty")
    messages = token_messages(version, entity_type, value, link)
    macs = [hmac.new(key, message, hashlib.sha256).digest() for message in messages]
    return token_of_macs(version, entity_type, macs)


def token_messages(version: str, entity_type: str, value: str, link: str = "") -> tuple[bytes, ...]:
    """What a holder of the key has to authenticate for a token: the value and, where there is one, its link.

    Raises ValueError for a version that is not one character 0-9 or a-z.
    """
    if not re.fullmatch(r"[0-9a-z]", version):
        raise ValueError("a key version is one character 0-9 or a-z")
    own = _framed(DOMAIN, version.encode(), entity_type.encode(), value.encode("utf-8", "surrogatepass"))
    if not link:
        return (own,)
    return own, _framed(LINK_DOMAIN, version.encode(), link.encode("utf-8", "surrogatepass"))


def token_of_macs(version: str, entity_type: str, macs: Sequence[bytes]) -> str:
    """The token, from the HMACs of its `token_messages` in their order."""
    identity = _base32(macs[0])
    if len(macs) > 1:
        identity = _base32(macs[1])[:LINK_LENGTH] + identity[LINK_LENGTH:]
    return f"{tag_for(entity_type)}x{version}{identity}"


def _framed(*fields: bytes) -> bytes:
    return b"".join(len(field).to_bytes(8, "big") + field for field in fields)


def _base32(mac: bytes) -> str:
    number = int.from_bytes(mac[:10], "big")
    return "".join(ALPHABET[number >> shift & 31] for shift in range(5 * (ID_LENGTH - 1), -1, -5))


def find_tokens(text: str) -> list[TokenMatch]:
    """Every token-shaped span, left to right; a span may start with capitals that precede the real token."""
    return [TokenMatch(m.start(), m.end(), m.group()) for m in TOKEN_RE.finditer(text)]


def suffixes(match: str) -> list[str]:
    """A token-shaped span and what remains of it when capitals glued to its front are taken off."""
    tag_length = match.index("x")
    return [match[i:] for i in range(tag_length - 1)]


def holdback(text: str) -> int:
    """Index of the longest suffix that could still become a token; `len(text)` when there is none."""
    start = max(0, len(text) - MAX_TOKEN)
    match = _BEGINNING.search(text, start)
    return match.start() if match else len(text)
