"""What models signed or enciphered and want back unchanged: it passes unread, so only what they really said.

Any other text in such a place is read and masked like all else.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Container, Iterable

from typing_extensions import override

_MOST = 20_000


class SealBook:
    """Fingerprints of sealed texts by session; bounded, the oldest go first."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def add(self, session_id: str, texts: Iterable[str]) -> None:
        """These came from the model in this session."""
        for text in texts:
            self._known[_fingerprint(session_id, text)] = None
        while len(self._known) > _MOST:
            self._known.popitem(last=False)

    def of(self, session_id: str) -> Container[str]:
        """The sealed texts of a session."""
        return _Sealed(self._known, session_id)


class _Sealed(Container[str]):
    def __init__(self, known: Container[bytes], session_id: str) -> None:
        self._known = known
        self._session_id = session_id

    @override
    def __contains__(self, text: object) -> bool:
        return isinstance(text, str) and _fingerprint(self._session_id, text) in self._known


def _fingerprint(session_id: str, text: str) -> bytes:
    return hashlib.sha256(f"{session_id}\0{text}".encode("utf-8", "surrogatepass")).digest()
