"""A chart in a cluster: what is there of one tenant, put over it what a file says, and write it in an order
that admission can follow.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace

from cadre_api.parse import InvalidResourceError, parse_resource
from cadre_api.protocol.base import type_json
from cadre_api.v1alpha1 import KINDS, OrgNode, Resource
from cadre_core.load import parse_documents
from cadre_core.resources import Resources
from cadre_core.resources import key_of as model_key
from cadre_core.tenancy import members, tenants
from cadre_local.errors import CadreError
from cadre_local.kube.client import KubeRefusedError, path_of
from cadre_local.kube.target import ClusterTarget
from cadre_local.objects import dig, key_of
from cadre_local.problems import ChartInvalidError

ORDER = ("Person", "ModelProvider", "ToolServer", "RoleProfile", "OrgNode", "Policy", "Workflow", "Agent")
"""What others refer to comes first."""
LATE = frozenset({"DanglingReference", "NotGranted", "UnknownTool", "UnknownModel", "NoChart", "NotFound"})
"""Refusals that may pass once the operator has seen what was written just before."""
PATIENCE = 30.0
"""Seconds in which nothing new got through, after which refusals are final."""
PAUSE = 0.5
_MANAGED = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation")


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one object."""

    subject: str
    """`kind.cadre.dev/name`."""
    key: str
    outcome: str
    """created, configured, unchanged, held or refused."""
    message: str = ""
    warnings: tuple[str, ...] = ()

    def plain(self) -> type_json:
        """As JSON; `name` is the object's."""
        return asdict(self) | {"name": self.subject}


Tell = Callable[[Written], None]


def read(documents: Sequence[tuple[str, str]], namespace: str) -> Resources:
    """Resources of files; those without a namespace belong to `namespace`. Raises ChartInvalidError."""
    resources, problems = parse_documents(documents, namespace)
    if problems:
        raise ChartInvalidError(problems)
    return resources


def merged(cluster: ClusterTarget, files: Resources) -> tuple[Resources, Resources]:
    """(as it is, as it would be) of the tenant that the files belong to."""
    live = [model for kind in KINDS for model in _live(cluster, kind)]
    named = {(m.kind, model_key(m)): m for m in _models(files)}
    future = [m for m in live if (m.kind, model_key(m)) not in named] + list(named.values())
    places = {m.metadata.namespace for m in named.values()}
    return (
        Resources.of_models(_of_tenant(live, places)),
        replace(Resources.of_models(_of_tenant(future, places)), positions=files.positions),
    )


def write(
    cluster: ClusterTarget, files: Resources, tell: Tell, *, dry_run: bool, force: bool
) -> tuple[Written, ...]:
    """Apply object by object; what refers to something not seen yet is tried again."""
    pending, done = [_plain(model) for model in _ordered(files)], list[Written]()
    deadline = time.monotonic() + PATIENCE
    while pending:
        outcomes = [
            (document, _write(cluster, document, dry_run=dry_run, force=force)) for document in pending
        ]
        late = [pair for pair in outcomes if pair[1].outcome == "refused" and _may_pass(pair[1])]
        final = [pair[1] for pair in outcomes if pair not in late]
        if len(late) < len(pending):
            deadline = time.monotonic() + PATIENCE
        if dry_run or time.monotonic() > deadline:
            final, late = [written for _, written in outcomes], []
        for written in final:
            tell(written)
        done += final
        pending = [document for document, _ in late]
        if pending:
            time.sleep(PAUSE)
    return tuple(done)


def _may_pass(written: Written) -> bool:
    return written.message.partition(":")[0] in LATE


def _write(cluster: ClusterTarget, document: type_json, *, dry_run: bool, force: bool) -> Written:
    subject, key = (
        f"{dig(document, 'kind').lower()}.cadre.dev/{dig(document, 'metadata', 'name')}",
        key_of(document),
    )
    try:
        before = cluster.kube.find(path_of(document))
        answer = cluster.kube.apply(document, dry_run=dry_run, force=force)
    except KubeRefusedError as error:
        if error.status in (401, 404, 503):
            raise
        return Written(subject, key, "refused", error.line())
    held = dig(answer.body, "metadata", "annotations", "cadre.dev/held")
    if held:
        return Written(subject, key, "held", "waits for consent", answer.warnings)
    if before is None:
        return Written(subject, key, "created", "", answer.warnings)
    same = dig(before, "metadata", "generation") == dig(answer.body, "metadata", "generation")
    return Written(subject, key, "unchanged" if same else "configured", "", answer.warnings)


def _ordered(files: Resources) -> Iterable[Resource]:
    depth = _depths(files)
    return sorted(
        _models(files), key=lambda m: (ORDER.index(m.kind), depth.get(model_key(m), 0), model_key(m))
    )


def _depths(files: Resources) -> dict[str, int]:
    """How many of the files' nodes are above a node."""
    nodes = files.of(OrgNode)

    def above(node: OrgNode, limit: int) -> int:
        ref = node.spec.parent_ref
        parent = nodes.get(f"{ref.namespace or node.metadata.namespace}/{ref.name}") if ref else None
        return 0 if parent is None or not limit else 1 + above(parent, limit - 1)

    return {key: above(node, 64) for key, node in nodes.items()}


def _models(resources: Resources) -> Iterable[Resource]:
    return (model for found in resources.objects.values() for model in found.values())


def _plain(model: Resource) -> type_json:
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True) | {
        "apiVersion": model.api_version,
        "kind": model.kind,
    }


def _live(cluster: ClusterTarget, kind: str) -> Iterable[Resource]:
    try:
        found = cluster.kube.resources(kind)
    except KubeRefusedError as error:
        if error.status != 403:
            raise
        raise CadreError(
            "ChartHidden",
            f"a plan needs the whole chart, and you may not list every {kind}",
            "ask a tenant admin to run it, or compare files: cadre plan -f NEW --against OLD",
        ) from error
    for document in found:
        try:
            yield parse_resource(document, unknown="ignore")
        except InvalidResourceError:
            continue  # the cluster holds it for not accepted, and so does the plan


def _of_tenant(models: list[Resource], places: set[str]) -> list[Resource]:
    owners = tenants(models)
    meant = {owners.get(place, place) for place in places}
    mine = {name for tenant in meant for name in members(owners, tenant)}
    return [model for model in models if model.metadata.namespace in mine]
