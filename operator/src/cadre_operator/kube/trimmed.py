"""Lists without what nothing here reads: kopf holds every object of a list until the last one is indexed."""

from collections.abc import Mapping
from typing import Any, cast

import aiohttp
from aiohttp.typedefs import DEFAULT_JSON_DECODER, JSONDecoder
from typing_extensions import override

from cadre_api.v1alpha1 import KINDS
from cadre_operator.kube.fields import Json, items, mapping


class TrimmedResponse(aiohttp.ClientResponse):
    """An answer of the API server, trimmed as soon as it is read."""

    @override
    async def json(
        self,
        *,
        encoding: str | None = None,
        loads: JSONDecoder = DEFAULT_JSON_DECODER,
        content_type: str | None = "application/json",
    ) -> Any:
        return trimmed(await super().json(encoding=encoding, loads=loads, content_type=content_type))


def trimmed(answer: object) -> object:
    """Take out of a list's objects, in place, what nothing here reads."""
    if isinstance(answer, dict):
        unread = _UNREAD.get(str(answer.get("kind")), ())
        for obj in items(answer, "items"):
            _trim(cast("Json", obj), unread)
    return answer


_WRITERS = ("metadata", "managedFields")
"""Of interest only where others could change what we made."""
_UNREAD: Mapping[str, tuple[tuple[str, str], ...]] = {
    "StatefulSetList": (("spec", "template"), ("spec", "volumeClaimTemplates")),
    "PodList": (("", "spec"), _WRITERS),
    "ConfigMapList": (("", "data"),),
    **{f"{kind}List": (_WRITERS,) for kind in KINDS},
}
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""The whole object once more, as text."""


def _trim(obj: Json, unread: tuple[tuple[str, str], ...]) -> None:
    for parent, name in unread:
        cast("Json", mapping(obj, parent) if parent else obj).pop(name, None)
    cast("Json", mapping(obj, "metadata", "annotations")).pop(_LAST_APPLIED, None)
    for entry in items(mapping(obj, "metadata"), "managedFields"):
        # who holds which part of the content matters, and not each of its fields
        cast("Json", entry)["fieldsV1"] = {name: {} for name in mapping(entry, "fieldsV1")}
