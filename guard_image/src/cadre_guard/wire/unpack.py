"""Compressed bodies, unpacked by us: the HTTP library refuses an encoding it lacks in words of its own."""

from __future__ import annotations

import zlib

from cadre_detect.errors import DetectionError

ENCODINGS = frozenset({"gzip", "x-gzip", "deflate"})
_GZIP, _ZLIB, _RAW = 31, 15, -15
"""Window sizes as zlib wants them said (RFC 1952, 1950, 1951)."""
_STEP = 1 << 20


def unpack(data: bytes, encoding: str, limit: int) -> bytes:
    """The body behind one content coding (RFC 9110, 8.4.1); raises DetectionError (BodyTooLarge above `limit`
    bytes, before more is in memory; BadEncoding).
    """
    try:
        return _inflate(data, _window(data, encoding), limit)
    except zlib.error:
        raise DetectionError("BadEncoding", "the body could not be unpacked") from None


def _window(data: bytes, encoding: str) -> int:
    if encoding != "deflate":
        return _GZIP
    # "deflate" is zlib's format, yet some send it bare
    return _ZLIB if data[:1] and data[0] & 0x0F == zlib.DEFLATED else _RAW


def _inflate(data: bytes, window: int, limit: int) -> bytes:
    out = bytearray()
    while data:
        member = zlib.decompressobj(window)
        while not member.eof:
            piece = member.decompress(data, _STEP)
            data = member.unconsumed_tail
            if not piece and not data and not member.eof:
                raise DetectionError("BadEncoding", "the body ends in the middle of its compression")
            out += piece
            if len(out) > limit:
                raise DetectionError("BodyTooLarge", f"unpacked more than {limit} bytes")
        data = member.unused_data
    return bytes(out)
