"""What waits in a cluster for consent: an agent's rights, or a change that its writer may not decide.

The consent is bound to a hash: it is for what was shown, not for what may stand there by then.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from cadre_api.protocol.base import type_json
from cadre_local.errors import CadreError, Exit
from cadre_local.kube.client import path_of
from cadre_local.kube.find import find_object
from cadre_local.kube.report import visible
from cadre_local.kube.target import ClusterTarget
from cadre_local.objects import KINDS, condition, dig, key_of, plural_of

DECISION = "cadre.dev/decision"
HELD = "cadre.dev/held"
_HASH = re.compile(r"approve:(sha256:[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing that has no effect yet."""

    subject: str
    """`agent/name` as `cadre approve` takes it."""
    key: str
    hash: str
    why: str
    ask: tuple[str, ...]
    """Person keys; any of them may consent, besides the tenant's heads."""
    purpose: str
    path: str

    def plain(self) -> type_json:
        """As JSON."""
        return asdict(self)


def waiting(cluster: ClusterTarget) -> tuple[Waiting, ...]:
    """Everything that waits and that the user may see."""
    documents = (item for kind in KINDS.values() for item in _visible(cluster, kind))
    return tuple(found for item in documents for found in _of(item))


def find(cluster: ClusterTarget, subject: str) -> Waiting:
    """What waits at `kind/name`. Raises CadreError (NotFound, NothingWaits)."""
    kind, _, name = subject.partition("/")
    plural = plural_of(kind)
    if not plural:
        raise CadreError("UnknownKind", f"{kind!r} is no kind", "write it as agent/NAME", Exit.USAGE)
    found = next(_of(find_object(cluster, KINDS[plural], name)), None)
    if found is None:
        raise CadreError(
            "NothingWaits", f"nothing waits for consent at {subject}", "cadre approvals", Exit.CONFLICT
        )
    return found


def give(cluster: ClusterTarget, item: Waiting) -> None:
    """Consent; admission records who did, and refuses whom the chart does not ask."""
    cluster.kube.patch(item.path, {"metadata": {"annotations": {DECISION: f"approve:{item.hash}"}}})


def _visible(cluster: ClusterTarget, kind: str) -> list[type_json]:
    try:
        return visible(cluster, kind)[0]
    except CadreError as error:
        if getattr(error, "status", 0) == 403:
            return []
        raise


def _of(document: type_json) -> Iterator[Waiting]:
    kind = dig(document, "kind").lower()
    subject, purpose = f"{kind}/{dig(document, 'metadata', 'name')}", dig(document, "spec", "purpose")
    held = _held(document)
    if held:
        ask = held.get("ask")
        people = tuple(map(str, ask)) if isinstance(ask, list) else ()
        reason, digest = str(held.get("reason", "")), str(held.get("specHash", ""))
        yield Waiting(subject, key_of(document), digest, reason, people, purpose, path_of(document))
    asking = condition(document, "AwaitingApproval")
    message = str(asking.get("message") or "")
    found = _HASH.search(message)
    if asking.get("status") == "True" and found and not held:
        people = tuple(re.findall(r"[a-z0-9.-]+/[a-z0-9.-]+", message.partition(" to set ")[0]))
        why = str(asking.get("reason"))
        yield Waiting(subject, key_of(document), found[1], why, people, purpose, path_of(document))


def _held(document: type_json) -> type_json:
    try:
        found = json.loads(dig(document, "metadata", "annotations", HELD) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
