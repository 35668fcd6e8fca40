"""The record of what arrived: the exact body, and of credentials only whether they were there."""

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

CREDENTIAL_HEADERS = ("authorization", "x-api-key", "api-key", "cookie", "proxy-authorization")
_KEPT_IN_MEMORY = 5000


@dataclass(frozen=True)
class Recorded:
    """One request."""

    number: int
    at: float
    """Seconds since the epoch."""
    method: str
    path: str
    dialect: str
    headers: dict[str, str]
    body: object
    """Parsed JSON, or null."""
    raw: str
    """The body as it came, byte for byte where it is UTF-8."""
    rule: str
    status: int


def headers_without_credentials(headers: Mapping[str, str]) -> dict[str, str]:
    """Replace each credential by `present`; those that did not come say `absent`."""
    kept = {name.lower(): value for name, value in headers.items()}
    for name in CREDENTIAL_HEADERS:
        kept[name] = "present" if name in kept else "absent"
    return kept


class Recorder:
    """Keeps the newest requests in memory, and all of them in a file when there is one."""

    def __init__(self, path: Path | None = None) -> None:
        """Open `path` for appending; None keeps memory only."""
        self._kept: deque[Recorded] = deque(maxlen=_KEPT_IN_MEMORY)
        self._file: TextIO | None = path.open("a", encoding="utf-8") if path else None
        self._count = 0

    def next_number(self) -> int:
        """Number of the request that is being answered, from 1."""
        self._count += 1
        return self._count

    def add(self, request: Recorded) -> None:
        """Keep a request; a reader of the file sees it at once."""
        self._kept.append(request)
        if self._file is not None:
            self._file.write(json.dumps(asdict(request), ensure_ascii=False) + "\n")
            self._file.flush()

    def all(self) -> list[dict[str, object]]:
        """Return what is in memory, oldest first."""
        return [asdict(request) for request in self._kept]

    def clear(self) -> None:
        """Forget what is in memory; the file stays."""
        self._kept.clear()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
