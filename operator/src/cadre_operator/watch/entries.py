"""What the indexes keep of an object: what decisions need, and nothing of managedFields or foreign notes."""

from collections.abc import Mapping
from dataclasses import dataclass
from sys import intern

from cadre_api.parse import InvalidResourceError, parse_resource
from cadre_api.problems import FieldProblem
from cadre_api.v1alpha1 import API_VERSION, Resource
from cadre_core.manifests.settings import LABEL_AGENT
from cadre_operator.keys import Key
from cadre_operator.kube.fields import Json, items, mapping, number, text, texts, version_of
from cadre_operator.kube.port import FIELD_MANAGER

ANNOTATIONS = "cadre.dev/"
"""Prefix of the annotations that mean something to us."""
HASH = "cadre.dev/applied-hash"
_SHORT = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of the API."""

    key: Key
    uid: str
    version: int
    generation: int
    deleting: bool
    notes: Mapping[str, str]
    """Our annotations."""
    status: Mapping[str, object]
    model: Resource | None
    problems: tuple[FieldProblem, ...] = ()
    """Why there is no model."""

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """What of it can change a chart."""
        return (self.uid, self.generation, self.deleting, tuple(sorted(self.notes.items())))


@dataclass(frozen=True, slots=True)
class Child:
    """One object that belongs to an agent."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    version: int
    agent: str
    hash: str
    """Digest of what we applied."""
    foreign: str
    """Who else holds fields of its content, and since when; empty = nobody."""
    ours: bool
    """Whether we made it: an object with our label alone may be anybody's."""
    deleting: bool
    facts: Mapping[str, object]
    """What status and rollout read: the trimmed spec and status of workloads and pods."""

    @property
    def identity(self) -> tuple[str, str]:
        """Kind and name."""
        return (self.kind, self.name)


def entry_of(body: Mapping[str, object], former: Entry | None = None) -> Entry:
    """Trim and read an object of the API; an unreadable one keeps its problems.

    What it has in common with its former self is not made twice: charts in force hold on to that.
    """
    metadata = mapping(body, "metadata")
    if former is None or former.uid != text(metadata, "uid"):
        former = None
    model, problems = _unchanged(metadata, former) or _model(body, metadata)
    found = texts(metadata, "annotations")
    notes = {name: value for name, value in found.items() if name.startswith(ANNOTATIONS)}
    return Entry(
        key=former.key if former is not None else key_of(body),
        uid=former.uid if former is not None else text(metadata, "uid"),
        version=version_of(body),
        generation=number(metadata, "generation"),
        deleting=bool(metadata.get("deletionTimestamp")),
        notes=former.notes if former is not None and former.notes == notes else notes,
        status=_plain(mapping(body, "status")),
        model=model,
        problems=problems,
    )


def key_of(body: Mapping[str, object]) -> Key:
    """Name an object of the API."""
    return Key(*(_shared(part) for part in (text(body, "kind"), *_place(mapping(body, "metadata")))))


def _unchanged(
    metadata: Mapping[str, object], former: Entry | None
) -> tuple[Resource, tuple[FieldProblem, ...]] | None:
    """Return the former model when it says the same: each change of a spec has a generation of its own."""
    if former is None or former.model is None or former.generation != number(metadata, "generation"):
        return None
    same = former.model.metadata.labels == mapping(metadata, "labels")
    return (former.model, ()) if same and former.generation else None


def _place(metadata: Mapping[str, object]) -> tuple[str, str]:
    return text(metadata, "namespace"), text(metadata, "name")


def _model(
    body: Mapping[str, object], metadata: Mapping[str, object]
) -> tuple[Resource | None, tuple[FieldProblem, ...]]:
    slim = {
        "apiVersion": body.get("apiVersion"),
        "kind": body.get("kind"),
        "metadata": {
            "name": metadata.get("name"),
            "namespace": metadata.get("namespace"),
            "labels": dict(mapping(metadata, "labels")),
        },
        "spec": _plain(mapping(body, "spec")),
    }
    try:
        return parse_resource(slim, unknown="ignore"), ()
    except InvalidResourceError as error:
        return None, error.problems


def _plain(value: object) -> Json:
    """Copy kopf's read-only views into plain containers, which outlive the event."""
    found = _copied(value)
    return found if isinstance(found, dict) else {}


def _copied(value: object) -> object:
    if isinstance(value, Mapping):
        return {intern(str(key)): _copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(item) for item in value]
    return _shared(value) if isinstance(value, str) else value


def _shared(value: str) -> str:
    """Keep one copy of a short text: thousands of objects say the same words."""
    return intern(value) if type(value) is str and len(value) <= _SHORT else value


def child_of(body: Mapping[str, object]) -> Child:
    """Trim an object that belongs to an agent."""
    metadata = mapping(body, "metadata")
    kind = _shared(text(body, "kind"))
    namespace, name = _place(metadata)
    return Child(
        api_version=_shared(text(body, "apiVersion")),
        kind=kind,
        namespace=_shared(namespace),
        name=_shared(name),
        uid=text(metadata, "uid"),
        version=version_of(body),
        agent=_shared(text(metadata, "labels", LABEL_AGENT)),
        hash=text(metadata, "annotations", HASH),
        foreign=_foreign(metadata),
        ours=_ours(metadata),
        deleting=bool(metadata.get("deletionTimestamp")),
        facts=_facts(kind, body),
    )


def _ours(metadata: Mapping[str, object]) -> bool:
    """Either mark is enough, so that nobody makes an object a stranger by taking one of them away."""
    owners = [owner for owner in items(metadata, "ownerReferences") if owner.get("controller") is True]
    owned = any((text(o, "apiVersion"), text(o, "kind")) == (API_VERSION, "Agent") for o in owners)
    return owned or any(
        (text(entry, "manager"), text(entry, "operation")) == (FIELD_MANAGER, "Apply")
        for entry in items(metadata, "managedFields")
    )


_CONTENT = ("f:spec", "f:data", "f:binaryData", "f:automountServiceAccountToken", "f:imagePullSecrets")


def _foreign(metadata: Mapping[str, object]) -> str:
    writers = [
        f"{text(entry, 'manager')}@{text(entry, 'time')}"
        for entry in items(metadata, "managedFields")
        if text(entry, "manager") != FIELD_MANAGER
        and not text(entry, "subresource")
        and any(field in mapping(entry, "fieldsV1") for field in _CONTENT)
    ]
    return " ".join(sorted(writers))


_NO_FACTS: Json = {}


def _facts(kind: str, body: Mapping[str, object]) -> Json:
    if kind == "StatefulSet":
        return _plain(
            {
                "replicas": mapping(body, "spec").get("replicas"),
                "generation": mapping(body, "metadata").get("generation"),
                "status": mapping(body, "status"),
            }
        )
    if kind == "Pod":
        return _plain({"labels": texts(body, "metadata", "labels"), "status": _pod_status(body)})
    return _NO_FACTS


def _pod_status(body: Mapping[str, object]) -> Json:
    status = mapping(body, "status")
    names = ("phase", "conditions", "containerStatuses", "initContainerStatuses")
    return {name: status[name] for name in names if name in status}
