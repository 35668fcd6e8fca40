"""Finds what the watches missed.

After a watch lost its place, kopf lists what exists, and what was deleted in between stays in its indexes for
ever. We compare with a list of our own and strike out the phantoms.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cadre_api.v1alpha1 import API_VERSION
from cadre_core.manifests.settings import LABEL_AGENT
from cadre_operator.kube.fields import text
from cadre_operator.kube.kinds import PLURALS
from cadre_operator.kube.port import Kube, KubeError
from cadre_operator.watch.entries import Child, Entry
from cadre_operator.watch.store import Store

_LOG = logging.getLogger(__name__)
_KINDS = {plural: kind for kind, (plural, _) in PLURALS.items()}
_RETRY_SECONDS = 5.0

Discard = Callable[[Mapping[str, object]], None]
"""Takes an object out of the indexes, and queues what that concerns."""


@dataclass(slots=True)
class Verifier:
    """Compares indexes with the cluster, one kind at a time."""

    kube: Kube
    store: Store
    namespaces: tuple[str, ...] = ()
    discard: Discard = lambda _: None
    _due: set[str] = field(default_factory=set)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def relisted(self, plural: str) -> None:
        """A kind was listed anew."""
        if plural in _KINDS:
            self._due.add(plural)
            self._wake.set()

    async def run(self) -> None:
        """Verify what is due, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            for plural in sorted(self._due):
                await self._attempt(plural)

    async def _attempt(self, plural: str) -> None:
        try:
            gone = await self.phantoms(plural)
        except KubeError as error:
            _LOG.warning("indexes not verified", extra={"kind": plural, "reason": str(error)})
            await asyncio.sleep(_RETRY_SECONDS)
            self._wake.set()
            return
        self._due.discard(plural)
        for body in gone:
            _LOG.warning("missed deletion found", extra={"kind": plural, "object": str(body["metadata"])})
            self.discard(body)

    async def phantoms(self, plural: str) -> list[Mapping[str, object]]:
        """Return what is in the indexes and not in the cluster. Raises KubeError."""
        api_version, kind = _KINDS[plural]
        # looked at first: what appears while the list is made is no phantom
        known = self._known(api_version, kind)
        existing = set()
        for namespace in self.namespaces or ("",):
            labels = "" if api_version == API_VERSION else LABEL_AGENT
            found = await self.kube.list(api_version, kind, namespace, labels)
            existing |= {text(obj, "metadata", "uid") for obj in found}
        return [body for uid, body in known.items() if uid not in existing]

    def _known(self, api_version: str, kind: str) -> dict[str, Mapping[str, object]]:
        if api_version == API_VERSION:
            return {e.uid: _body_of_entry(e) for e in self.store.all_entries() if e.key.kind == kind}
        return {c.uid: _body_of_child(c) for c in self.store.all_children() if c.kind == kind}


def _body_of_entry(entry: Entry) -> Mapping[str, object]:
    metadata = {"namespace": entry.key.namespace, "name": entry.key.name, "uid": entry.uid}
    return {"apiVersion": API_VERSION, "kind": entry.key.kind, "metadata": metadata}


def _body_of_child(child: Child) -> Mapping[str, object]:
    metadata = {
        "namespace": child.namespace,
        "name": child.name,
        "uid": child.uid,
        "labels": {LABEL_AGENT: child.agent},
    }
    return {"apiVersion": child.api_version, "kind": child.kind, "metadata": metadata}
