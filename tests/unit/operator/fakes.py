"""A clock that tests turn, and a small cluster in memory behind the operator's own port."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

from cadre_operator.kube.fields import Json, mapping, text
from cadre_operator.kube.port import KubeConflictError, KubeError, Ref


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def turn(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


@dataclass
class MemoryKube:
    """Objects by reference, with versions and conflicts as the API server has them."""

    objects: dict[Ref, Json] = field(default_factory=dict)
    requests: list[tuple[str, Ref]] = field(default_factory=list)
    failing: KubeError | None = None
    _versions: Iterator[int] = field(default_factory=lambda: iter(range(1, 10_000)))

    def _asked(self, verb: str, ref: Ref) -> None:
        self.requests.append((verb, ref))
        if self.failing is not None:
            raise self.failing

    def _store(self, ref: Ref, obj: Json) -> Json:
        version = str(next(self._versions))
        metadata = {"uid": f"uid-{version}", **mapping(obj, "metadata"), "resourceVersion": version}
        self.objects[ref] = {**obj, "metadata": metadata}
        return copy.deepcopy(self.objects[ref])

    async def get(self, ref: Ref) -> Json | None:
        """Read."""
        self._asked("get", ref)
        return copy.deepcopy(self.objects.get(ref))

    async def create(self, obj: Json) -> Json:
        """Create."""
        ref = Ref.of(obj)
        self._asked("create", ref)
        if ref in self.objects:
            raise KubeConflictError("exists", 409)
        return self._store(ref, obj)

    async def apply(self, obj: Json) -> Json:
        """Apply."""
        ref = Ref.of(obj)
        self._asked("apply", ref)
        kept = mapping(self.objects.get(ref), "metadata")
        metadata = {**({"uid": kept["uid"]} if "uid" in kept else {}), **mapping(obj, "metadata")}
        return self._store(ref, {**obj, "metadata": metadata})

    async def patch(self, ref: Ref, body: Json, subresource: str = "") -> Json:
        """Merge-patch."""
        self._asked(f"patch {subresource}".strip(), ref)
        if ref not in self.objects:
            raise KubeError("not found", 404)
        stated = text(body, "metadata", "resourceVersion")
        if stated and stated != text(self.objects[ref], "metadata", "resourceVersion"):
            raise KubeConflictError("stale", 409)
        return self._store(ref, _merged(self.objects[ref], body))

    async def delete(self, ref: Ref, uid: str = "") -> None:
        """Delete."""
        self._asked("delete", ref)
        self.objects.pop(ref, None)


def _merged(old: Json, new: Json) -> Json:
    found = dict(old)
    for name, value in new.items():
        before = found.get(name)
        if value is None:
            found.pop(name, None)
        elif isinstance(value, dict) and isinstance(before, dict):
            found[name] = _merged(before, value)
        else:
            found[name] = value
    return found
