"""kopf's lists and watches, read by one task for each kind.

kopf's own reading makes a queue and a task for every object, copies each one for its handlers, and holds all
that was listed until the last is indexed; what was deleted while a watch had lost its place, nobody is told.
Here an object is read where it arrives, and every list says what is no more.
"""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing, suppress
from typing import Any

import kopf
from kopf._cogs.clients import errors, watching  # no setting changes who reads what kopf watches
from kopf._cogs.structs.references import Namespace, Resource
from kopf._core.reactor import queueing

from cadre_operator.kube.kinds import PLURALS
from cadre_operator.watch.intake import Intake

_KINDS = {(api, plural): (api, kind) for (api, kind), (plural, _) in PLURALS.items()}
_AT_A_TIME = 50
"""Objects that are read before others have a turn."""
_kopf_watcher = queueing.watcher


def read_by(intake: Intake) -> None:
    """Have kopf hand all objects of our kinds to `intake` from now on; others it reads itself."""

    async def watcher(**given: Any) -> None:
        resource: Resource = given["resource"]
        kind = _KINDS.get((f"{resource.group}/{resource.version}".lstrip("/"), resource.plural))
        if kind is None:
            await _kopf_watcher(**given)
        else:
            await _follow(intake, kind, given)

    queueing.watcher = watcher


async def _follow(intake: Intake, kind: tuple[str, str], given: Mapping[str, Any]) -> None:
    """List and watch for ever, anew whenever a watch lost its place."""
    settings: kopf.OperatorSettings = given["settings"]
    resource: Resource = given["resource"]
    namespace: Namespace = given["namespace"]
    while True:
        async with watching.streaming_block(
            resource=resource, namespace=namespace, operator_paused=given.get("operator_paused")
        ) as pause:
            stream = watching.continuous_watch(
                settings=settings, resource=resource, namespace=namespace, operator_pause_waiter=pause
            )
            with suppress(errors.APITooManyRequestsError):
                async with aclosing(stream) as events:  # type: ignore[type-var]
                    await _read(intake, kind, namespace or "", events)
        await asyncio.sleep(settings.watching.reconnect_backoff)


async def _read(intake: Intake, kind: tuple[str, str], namespace: str, events: Any) -> None:
    """Hand on what one list and the watches after it bring."""
    listed: set[str] = set()
    count = 0
    async for event in events:
        if event is watching.Bookmark.LISTED:
            intake.listed(kind, namespace, listed)
            listed = set()
        elif event["type"] != "BOOKMARK":
            uid = intake.take(kind, event["type"], event["object"])
            if event["type"] is None:
                listed.add(uid)
            count += 1
            if count % _AT_A_TIME == 0:
                await asyncio.sleep(0)
