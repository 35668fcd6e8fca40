"""A Secret that several replicas fill: whoever is first decides, and the others take what is there."""

import asyncio
import base64
from collections.abc import Callable, Mapping

from cadre_operator.kube.fields import Json, text, texts
from cadre_operator.kube.port import Kube, KubeConflictError, Ref

_RETRIES = 10
Decide = Callable[[Mapping[str, bytes]], Mapping[str, bytes] | None]
"""What to write over what is held; None = nothing."""


async def ensure_secret(kube: Kube, ref: Ref, decide: Decide) -> Mapping[str, bytes]:
    """Have a Secret hold what `decide` wants, and return it. Raises KubeError."""
    for attempt in range(_RETRIES):
        found = await kube.get(ref)
        held = decoded(found) if found is not None else {}
        wanted = decide(held)
        if wanted is None:
            return held
        try:
            await _write(kube, ref, found, wanted)
        except KubeConflictError:
            if attempt == _RETRIES - 1:
                raise
            await asyncio.sleep(0.1)
        else:
            return {**held, **wanted}
    raise AssertionError("unreachable: the last attempt returns or raises")


async def _write(kube: Kube, ref: Ref, found: Json | None, wanted: Mapping[str, bytes]) -> None:
    data = {name: base64.b64encode(value).decode() for name, value in wanted.items()}
    if found is None:
        metadata = {"name": ref.name, "namespace": ref.namespace}
        await kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
        return
    version = text(found, "metadata", "resourceVersion")
    await kube.patch(ref, {"metadata": {"resourceVersion": version}, "data": data})


def decoded(secret: Mapping[str, object]) -> dict[str, bytes]:
    """Return a Secret's content, without what is no base64."""
    found = {}
    for name, value in texts(secret, "data").items():
        try:
            found[name] = base64.b64decode(value, validate=True)
        except ValueError:
            continue
    return found
