"""What kopf does for us: it finds the kinds, lists and watches them, and serves admission.

None of its handlers for changes are used: they would store each whole spec in an annotation, react to edges,
and write to the objects. Like this kopf writes nothing.
"""

import logging
from typing import Any

import kopf

from cadre_api.v1alpha1 import API_VERSION
from cadre_core.manifests.settings import LABEL_AGENT
from cadre_operator.kube.kinds import CHILD_KINDS, PLURALS

WATCHED_PARTS = (*CHILD_KINDS, ("v1", "Pod"))
_OBJECTS = tuple(kind for kind in PLURALS if kind[0] == API_VERSION)
LISTS = len(_OBJECTS) + len(WATCHED_PARTS)
"""Of how many kinds objects are listed and watched."""


def register(registry: kopf.OperatorRegistry) -> None:
    """Register our kinds and what agents are made of, so that kopf watches them."""
    for kind in (*_OBJECTS, *WATCHED_PARTS):
        kopf.on.event(*_selector(*kind), id="watched", registry=registry)(_watched)


async def _watched(**_: Any) -> None:
    """kopf watches what somebody wants to hear of; what it reads goes to the intake instead."""


def _selector(api_version: str, kind: str) -> tuple[str, str, str]:
    group, _, version = api_version.rpartition("/")
    return group, version, PLURALS[api_version, kind][0]


def configure(settings: kopf.OperatorSettings, namespaced: bool) -> None:
    """Set kopf up: no events from logs, no scanning where rights are few, watches that notice their death."""
    settings.posting.enabled = False
    settings.scanning.disabled = namespaced
    settings.watching.server_timeout = 600
    settings.watching.chunk_size = 100
    settings.watching.reconnect_backoff = 0.2
    settings.networking.error_backoffs = [0.2, 0.5, 1, 2, 5, 10]
    settings.process.ultimate_exiting_timeout = 60
    for kind in WATCHED_PARTS:
        settings.watching.label_selectors[_selector(*kind)] = LABEL_AGENT
    if not logging.getLogger().isEnabledFor(logging.DEBUG):
        logging.getLogger("kopf").setLevel(logging.WARNING)
