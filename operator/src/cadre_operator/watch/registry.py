"""What kopf does for us: it watches, keeps indexes, and tells us of events. Every handler only queues a key.

kopf's create and update handlers are not used: they would store each whole spec in an annotation, react to
edges, and write to the objects. With events and indexes alone kopf writes nothing.
"""

import logging
from collections.abc import Mapping
from typing import Any

import kopf

from cadre_api.v1alpha1 import GROUP, VERSION
from cadre_core.manifests.settings import LABEL_AGENT
from cadre_operator.keys import Key, Priority
from cadre_operator.kube.fields import text
from cadre_operator.kube.kinds import CHILD_KINDS, PLURALS
from cadre_operator.reconcile.chart import CHART
from cadre_operator.reconcile.freeze import look_at_freeze
from cadre_operator.watch.entries import child_of
from cadre_operator.watch.unstored import NoFormerSelf
from cadre_operator.world import World

_LOG = logging.getLogger(__name__)
_WATCHED_PARTS = (*CHILD_KINDS, ("v1", "Pod"))
NODES = "OrgNode"
"""Index key under which all nodes are found; no namespace is called so."""


def register(registry: kopf.OperatorRegistry, world: World) -> None:
    """Register indexes and events for our kinds and for what agents are made of."""
    _register_objects(registry, world)
    for api_version, kind in _WATCHED_PARTS:
        _register_part(registry, world, api_version, kind)


def _register_objects(registry: kopf.OperatorRegistry, world: World) -> None:
    def served(body: Mapping[str, object], **_: Any) -> bool:
        return text(body, "metadata", "namespace") not in world.exempt

    async def cadre_objects(body: Mapping[str, object], **_: Any) -> dict[object, object]:
        entry = world.store.read(body)
        found: dict[object, object] = {entry.key: entry, entry.key.namespace: entry}
        return found | ({NODES: entry} if entry.key.kind == NODES else {})

    async def cadre_event(event: Mapping[str, object], body: Mapping[str, object], **kwargs: Any) -> None:
        world.store.connect(kwargs["cadre_objects"], kwargs["cadre_parts"])
        if not served(body):
            _LOG.error("object not served, its namespace is exempt from admission", extra=_named(body))
            return
        on_object(world, body, gone=event["type"] == "DELETED", initial=event["type"] is None)

    for plural, _namespaced in (PLURALS[k] for k in PLURALS if k[0] == f"{GROUP}/{VERSION}"):
        kopf.index(GROUP, VERSION, plural, id="cadre_objects", when=served, registry=registry)(cadre_objects)
        kopf.on.event(GROUP, VERSION, plural, id="cadre_event", registry=registry)(cadre_event)


def _named(body: Mapping[str, object]) -> dict[str, object]:
    name = f"{text(body, 'metadata', 'namespace')}/{text(body, 'metadata', 'name')}"
    return {"kind": text(body, "kind"), "object": name}


def on_object(world: World, body: Mapping[str, object], gone: bool, initial: bool) -> None:
    """Queue what an event of one of our objects concerns."""
    entry = world.store.read(body)
    world.store.seen_entry(entry, gone)
    look_at_freeze(world, entry, gone)
    if entry.key.kind == NODES:
        for tenant in world.book.arrange(world.store.nodes()):
            world.charts.add(Key(CHART, tenant))
    tenant = world.book.tenant_of(entry.key.namespace)
    state = world.book.states.get(tenant)
    if gone or state is None or state.fingerprints.get(entry.key) != entry.fingerprint:
        world.charts.add(Key(CHART, tenant), after=world.book.pace(tenant))
    elif world.leading and not initial:
        world.objects.add(entry.key, Priority.ROUTINE)
    if gone and world.leading:
        world.objects.add(entry.key, Priority.ROUTINE)


def _register_part(registry: kopf.OperatorRegistry, world: World, api_version: str, kind: str) -> None:
    group, _, version = api_version.rpartition("/")

    async def cadre_parts(body: Mapping[str, object], **_: Any) -> dict[object, object]:
        child = child_of(body)
        return {(child.namespace, child.agent): child}

    async def cadre_part_event(event: Mapping[str, object], body: Mapping[str, object], **_: Any) -> None:
        on_part(world, body, gone=event["type"] == "DELETED")

    where = (group, version, PLURALS[api_version, kind][0])
    labels = {LABEL_AGENT: kopf.PRESENT}
    kopf.index(*where, id="cadre_parts", labels=labels, registry=registry)(cadre_parts)
    kopf.on.event(*where, id="cadre_part_event", labels=labels, registry=registry)(cadre_part_event)


def on_part(world: World, body: Mapping[str, object], gone: bool) -> None:
    """Queue the agent that a part belongs to."""
    child = child_of(body)
    world.store.seen_child(child, gone)
    if gone:
        world.reviewed.pop(child.uid, None)
    if world.leading:
        world.objects.add(Key("Agent", child.namespace, child.agent), Priority.AFFECTED)


def configure(settings: kopf.OperatorSettings, namespaced: bool) -> None:
    """Set kopf up: no events from logs, no scanning where rights are few, watches that notice their death."""
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = NoFormerSelf()
    settings.scanning.disabled = namespaced
    settings.watching.server_timeout = 600
    settings.watching.chunk_size = 250
    settings.watching.reconnect_backoff = 0.2
    settings.networking.error_backoffs = [0.2, 0.5, 1, 2, 5, 10]
    # no bound on kopf's own workers: below the number of indexed objects it would never finish its start
    settings.queueing.worker_limit = None
    settings.queueing.idle_timeout = 1.0
    settings.process.ultimate_exiting_timeout = 60
    for api_version, kind in _WATCHED_PARTS:
        group, _, version = api_version.rpartition("/")
        selector = (group, version, PLURALS[api_version, kind][0])
        settings.watching.label_selectors[selector] = LABEL_AGENT
    if not logging.getLogger().isEnabledFor(logging.DEBUG):
        logging.getLogger("kopf").setLevel(logging.WARNING)
