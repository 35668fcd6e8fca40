"""Texts of any length in Cadre's state, over its public API: a text that is too long for one key is cut."""

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator

PART = 48_000
"""Characters of one key; masking may make them more."""
_PAGE = 100
_MARK = "|"


class StateError(Exception):
    """Cadre refused; `reason` is its word for why, e.g. StateQuota or StateDenied."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.status = status
        self.reason = reason


class StateStore:
    """Texts under keys of one scope. A key's text is whole or absent."""

    def __init__(
        self,
        url: str,
        scope: str,
        token: str | Callable[[], str],
        *,
        timeout_seconds: float = 30.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"url: {url} is no http or https address")
        self._url = url.rstrip("/")
        self._scope = scope
        self._token = token
        self._timeout = timeout_seconds
        self._tls = tls

    def get(self, key: str) -> str | None:
        """The text, or None. Raises StateError."""
        found = self.get_versioned(key)
        return found[0] if found is not None else None

    def get_versioned(self, key: str) -> tuple[str, int] | None:
        """The text and the version to compare with. Raises StateError."""
        first = self._entry(_part(key, 0))
        if first is None:
            return None
        count, _, text = str(first["value"]).partition(_MARK)
        rest = [self._entry(_part(key, i)) for i in range(1, int(count))]
        if any(part is None for part in rest):
            return None
        return text + "".join(str(part["value"]) for part in rest if part is not None), _int(first["version"])

    def put(self, key: str, text: str, *, version: int | None = None) -> None:
        """Write; only if its version is still this one, when one is given (0 = absent).

        Raises StateError (409 VersionConflict: somebody else was first).
        """
        parts = cut(text)
        for i in range(len(parts) - 1, 0, -1):
            self._send("PUT", "/entry", {"scope": self._scope, "key": _part(key, i), "value": parts[i]})
        first: dict[str, object] = {"key": _part(key, 0), "value": f"{len(parts)}{_MARK}{parts[0]}"}
        if version is not None:
            first["version"] = version
        self._send("PUT", "/entry", first | {"scope": self._scope})

    def remove(self, prefix: str) -> None:
        """Remove everything whose key begins so. Raises StateError."""
        for key, _ in tuple(self._entries(prefix, _PAGE)):
            try:
                self._send("PUT", "/entry", {"scope": self._scope, "key": key, "value": None})
            except StateError as refused:
                if refused.reason != "NoKey":
                    raise

    def first(self, prefix: str) -> str | None:
        """The first text whose key begins so. Raises StateError."""
        for key, _ in self._entries(prefix, 1):
            return self.get(key.rpartition("/")[0] + "/")
        return None

    def each(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Keys that begin so, in order, with their texts. Raises StateError."""
        parts: list[str] = []
        current, count = "", 0
        for key, value in self._entries(prefix, _PAGE):
            base, _, number = key.rpartition("/")
            if int(number) == 0:
                written, _, value = value.partition(_MARK)
                current, count, parts = base, int(written), []
            if base != current or int(number) != len(parts):
                continue
            parts.append(value)
            if len(parts) == count:
                yield f"{base}/", "".join(parts)

    def _entries(self, prefix: str, page: int) -> Iterator[tuple[str, str]]:
        cursor = ""
        while True:
            query = {"scope": self._scope, "prefix": prefix, "limit": str(page), "cursor": cursor}
            found = self._send("GET", f"?{urllib.parse.urlencode(query)}")
            for item in _items(found):
                yield str(item["key"]), str(item["value"])
            cursor = str(found["next"])
            if not cursor:
                return

    def _entry(self, key: str) -> dict[str, object] | None:
        query = urllib.parse.urlencode({"scope": self._scope, "key": key})
        try:
            return self._send("GET", f"/entry?{query}")
        except StateError as refused:
            if refused.reason == "NoKey":
                return None
            raise

    def _send(self, method: str, path: str, body: dict[str, object] | None = None) -> dict[str, object]:
        token = self._token if isinstance(self._token, str) else self._token()
        request = urllib.request.Request(  # noqa: S310 - the address is checked when it is given
            f"{self._url}/api/v1/state{path}",
            json.dumps(body).encode() if body is not None else None,
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout, context=self._tls) as answer:  # noqa: S310
                found: dict[str, object] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error.code, error.read()) from None


def cut(text: str) -> list[str]:
    """A text in parts of at most `PART` characters, cut where no word is: after a line, or in the shape.

    Raises ValueError for a line that is longer.
    """
    parts, start = [], 0
    shape = text.find("\n") if "\n" in text else len(text)
    while len(text) - start > PART:
        end = start + PART
        if end > shape:
            end = max(text.rfind("\n", start, end) + 1, shape if shape > start else 0)
        if end <= start:
            raise ValueError(f"a text has a line of more than {PART} characters; break it into lines")
        parts.append(text[start:end])
        start = end
    return [*parts, text[start:]]


def _part(key: str, number: int) -> str:
    """Parts sort in their order."""
    return f"{key}{number:03}"


def _refusal(status: int, body: bytes) -> StateError:
    try:
        problem = json.loads(body)
        return StateError(status, str(problem["reason"]), str(problem.get("detail", "")))
    except (ValueError, KeyError, TypeError, AttributeError):
        return StateError(status, "Refused", f"HTTP {status}")


def _items(page: dict[str, object]) -> list[dict[str, object]]:
    items = page["items"]
    assert isinstance(items, list)
    return items


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
