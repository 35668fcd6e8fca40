"""Ids: sortable by time, unguessable, and readable by their prefix."""

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_TIME_CHARS, _RANDOM_CHARS = 10, 16


class SortableIds:
    """`<prefix>_<48 bit milliseconds><80 random bits>` in Crockford base32 (the ULID layout, lower case)."""

    def new(self, prefix: str) -> str:
        """A new id, e.g. `task_01jd…`; 26 characters after the prefix."""
        milliseconds = time.time_ns() // 1_000_000
        return f"{prefix}_{_base32(milliseconds, _TIME_CHARS)}{_base32(secrets.randbits(80), _RANDOM_CHARS)}"


def _base32(number: int, width: int) -> str:
    """Two characters at a time; `width` is even."""
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(5 * width - 10, -1, -10)])
