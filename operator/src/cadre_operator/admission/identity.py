"""Who writes: a user of the API server, as a person of the chart, a machine for GitOps, or Cadre itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from cadre_core.model import Snapshot
from cadre_core.users import person_of
from cadre_operator.settings import Identities

UNKNOWN = "unknown identity"
"""A person key that no chart can contain."""
_BUILT_IN = (
    "system:serviceaccount:kube-system:namespace-controller",
    "system:serviceaccount:kube-system:generic-garbage-collector",
)
"""The cluster's own hands when a namespace or an owner goes."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The writer of a request."""

    user: str
    groups: tuple[str, ...]
    person: str
    """Person key; empty for a machine of GitOps, UNKNOWN for whom the chart does not know."""
    trusted: bool = False
    """Cadre itself, or the cluster's cleaning up."""
    scaler: bool = False


def identify(userinfo: Mapping[str, object], snapshot: Snapshot | None, identities: Identities) -> Caller:
    """Find out who a user of the API server is."""
    user = str(userinfo.get("username") or "")
    groups = userinfo.get("groups")
    names = tuple(str(group) for group in groups) if isinstance(groups, list | tuple) else ()
    return Caller(
        user=user,
        groups=names,
        person="" if _matches(user, identities.gitops) else _person(user, snapshot, identities),
        trusted=_matches(user, (*identities.trusted, *_BUILT_IN)),
        scaler=_matches(user, identities.scalers),
    )


def _matches(user: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(user, pattern) for pattern in patterns)


def _person(user: str, snapshot: Snapshot | None, identities: Identities) -> str:
    if snapshot is None:
        return UNKNOWN
    return person_of(user, snapshot.persons.values(), identities.issuers) or UNKNOWN
