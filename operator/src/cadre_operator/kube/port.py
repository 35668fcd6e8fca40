"""The five things we ask of a cluster, so that the client behind them can be swapped and load-tested."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from cadre_operator.kube.fields import Json, text

FIELD_MANAGER = "cadre-operator"
"""Under which name we write."""
_TOO_MANY_REQUESTS = 429


@dataclass(frozen=True, slots=True)
class Ref:
    """Names one object; an empty namespace is for what has none."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, obj: Mapping[str, object]) -> "Ref":
        """Name an object that is at hand."""
        return cls(
            text(obj, "apiVersion"),
            text(obj, "kind"),
            text(obj, "metadata", "namespace"),
            text(obj, "metadata", "name"),
        )


class KubeError(Exception):
    """The API server refused or did not answer; `status` is the HTTP status, 0 = no answer."""

    reason = "KubeRequestFailed"

    def __init__(self, message: str, status: int = 0, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        """Seconds the server asks us to wait; 0 = not said."""

    @property
    def busy(self) -> bool:
        """Whether the server asks for fewer requests."""
        return self.status == _TOO_MANY_REQUESTS


class KubeConflictError(KubeError):
    """Somebody else wrote first, or the object exists already."""

    reason = "Conflict"


class Kube(Protocol):
    """A cluster. Every method raises KubeError."""

    async def get(self, ref: Ref) -> Json | None:
        """Read an object; None when there is none."""
        ...

    async def create(self, obj: Json) -> Json:
        """Create an object. Raises KubeConflictError when it exists."""
        ...

    async def apply(self, obj: Json) -> Json:
        """Apply an object server-side as our field manager, taking our fields back from whoever has them.

        The answer may be its metadata alone.
        """
        ...

    async def patch(self, ref: Ref, body: Json, subresource: str = "") -> Json:
        """Merge-patch an object or its subresource. Raises KubeConflictError on a stale resourceVersion."""
        ...

    async def delete(self, ref: Ref, uid: str = "") -> None:
        """Delete an object, only that incarnation when `uid` is given; gone already is fine."""
        ...
