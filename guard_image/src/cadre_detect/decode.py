"""Values in disguise: percent, HTML, JSON and form escapes, base64 and hexadecimal, nested up to three deep.

Escapes are undone over a whole line with a map back to the source, so a finding covers exactly the escaped
run. A base64 or hexadecimal run is one finding as a whole, because part of it cannot be replaced.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import unquote_to_bytes

from cadre_detect.findings import Finding

Scan = Callable[[str], Iterable[Finding]]

MAX_DEPTH = 3
_ESCAPE = re.compile(
    r"(?:%[0-9A-Fa-f]{2})+"
    r"|&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,12});"
    r"|(?:\\u[0-9A-Fa-f]{4})+|(?:\\x[0-9A-Fa-f]{2})+|\\[nrtbf\"'/\\]"
    r"|(?<=[A-Za-z])\+(?=[A-Za-z])"
)
_LINE = re.compile(r"[^\n]+")
_RUN = re.compile(r"(?:[A-Za-z0-9+/]{60,76}\r?\n)+[A-Za-z0-9+/]+={0,2}|[A-Za-z0-9+/_\-]{8,}={0,2}")
_PIECE = re.compile(r"[A-Za-z0-9]{8,}={0,2}|[A-Za-z0-9+/]{8,}={0,2}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){6,}\Z")
_SHORT_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd]")


@dataclass(frozen=True, slots=True)
class _Decoded:
    """Decoded text; its character i stands for source[spans[i][0]:spans[i][1]]."""

    text: str
    spans: list[tuple[int, int]]
    escaped: list[bool]


def scan(text: str, inner: Scan, depth: int = MAX_DEPTH) -> Iterator[Finding]:
    """Findings of `inner` that only show once the text is decoded, placed on the encoded runs."""
    if depth <= 0:
        return
    yield from _scan_escapes(text, inner, depth)
    yield from _scan_runs(text, inner, depth)


def _scan_escapes(text: str, inner: Scan, depth: int) -> Iterator[Finding]:
    for line in _LINE.finditer(text):
        if not _ESCAPE.search(line.group()):
            continue
        decoded = _unescape(line.group())
        for finding in [*inner(decoded.text), *scan(decoded.text, inner, depth - 1)]:
            if any(decoded.escaped[finding.start : finding.end]):
                start = decoded.spans[finding.start][0]
                end = decoded.spans[finding.end - 1][1]
                yield replace(finding, start=line.start() + start, end=line.start() + end)


def _unescape(line: str) -> _Decoded:
    decoded = _Decoded("", [], [])
    pieces: list[str] = []
    position = 0
    for match in _ESCAPE.finditer(line):
        plain = line[position : match.start()]
        value = _value(match.group())
        pieces += [plain, value]
        decoded.spans.extend((i, i + 1) for i in range(position, match.start()))
        decoded.spans.extend(_spread(match.start(), match.group(), value))
        decoded.escaped.extend([False] * len(plain) + [True] * len(value))
        position = match.end()
    decoded.spans.extend((i, i + 1) for i in range(position, len(line)))
    decoded.escaped.extend([False] * (len(line) - position))
    return replace(decoded, text="".join([*pieces, line[position:]]))


def _spread(start: int, source: str, value: str) -> list[tuple[int, int]]:
    """One source span per decoded character: its own escape when all are of one width, else the whole run."""
    width = len(source) // len(value) if value else 0
    if width and width * len(value) == len(source):
        return [(start + i * width, start + (i + 1) * width) for i in range(len(value))]
    return [(start, start + len(source))] * len(value)


def _value(escape: str) -> str:
    if escape == "+":
        return " "
    if escape[0] == "%":
        return unquote_to_bytes(escape).decode("utf-8", "replace")
    if escape[0] == "&":
        return html.unescape(escape)
    if escape[1] in "ux":
        codes = "".join(chr(int(code, 16)) for code in re.split(r"\\[ux]", escape)[1:])
        return codes.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _SHORT_ESCAPES.get(escape[1], escape[1])


def _scan_runs(text: str, inner: Scan, depth: int) -> Iterator[Finding]:
    for run in _RUN.finditer(text):
        pieces = [run.group(), *(_PIECE.findall(run.group()) if re.search(r"[+/_\-]", run.group()) else ())]
        for piece in dict.fromkeys(pieces):
            for plain in _plain_texts(piece):
                found = [*inner(plain), *scan(plain, inner, depth - 1)]
                if found:
                    best = max(found, key=lambda finding: finding.score)
                    start = run.start() + run.group().index(piece)
                    yield replace(best, start=start, end=start + len(piece))


def _plain_texts(run: str) -> Iterator[str]:
    """Readable texts a run may encode."""
    compact = re.sub(r"\s", "", run)
    if _HEX.match(compact):
        yield from _readable(bytes.fromhex(compact))
    body = compact.rstrip("=").replace("-", "+").replace("_", "/")
    if len(body) % 4 != 1:
        try:
            yield from _readable(base64.b64decode(body + "=" * (-len(body) % 4), validate=True))
        except binascii.Error:
            return


def _readable(raw: bytes) -> Iterator[str]:
    for encoding in ("utf-8", "utf-16-le") if raw[1:2] == b"\0" else ("utf-8",):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not _UNPRINTABLE.search(text):
            yield text
