"""Signing in with whatever signs one in at the cluster: a code from the operator's admission, or a token that
the API server vouches for. Nothing but the user's name and one group counts; rights come from the chart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cadre_controller.auth.identity import PersonIdentity
from cadre_controller.errors import Denied
from cadre_controller.ports import Clock
from cadre_controller.refusals import GrantDisabled, Unauthorized
from cadre_core.login import LIFETIME_SECONDS, LoginError, open_login
from cadre_core.model import Snapshot
from cadre_core.users import ADMINS_GROUP, Issuers, person_of

_MAX_KEY_BYTES = 4096
_AGAIN = "sign in again: cadre login"


@dataclass(frozen=True, slots=True)
class ClusterUser:
    """Who the API server says it is."""

    name: str
    admin: bool
    """Whether the user belongs to ADMINS_GROUP."""


class UserReviewer(Protocol):
    """The API server, asked about a token that was made for itself."""

    async def user(self, token: str) -> tuple[str, tuple[str, ...]] | None:
        """(name, groups) behind a token; None when it is not valid."""
        ...


class KubernetesLogin:
    """Finds out which user of the cluster is asking; refuses everything outside of a cluster."""

    def __init__(self, key_file: Path | None, reviewer: UserReviewer | None, clock: Clock) -> None:
        self._key_file = key_file
        self._reviewer = reviewer
        self._clock = clock
        self._used: dict[str, int] = {}
        """Nonce -> when its code ends: a code serves once at this replica."""

    async def by_token(self, token: str) -> ClusterUser:
        """The user behind a token of the cluster. Raises GrantDisabled, Unauthorized."""
        if self._reviewer is None:
            raise GrantDisabled
        found = await self._reviewer.user(token)
        if found is None:
            raise Unauthorized("LoginRefused", "the cluster does not know this token", _AGAIN)
        name, groups = found
        return ClusterUser(name, ADMINS_GROUP in groups)

    def by_code(self, code: str) -> ClusterUser:
        """The user that admission signed a code for. Raises GrantDisabled, Unauthorized."""
        now = int(self._clock.now().timestamp())
        try:
            login = open_login(code, self._keys(), now)
        except LoginError as error:
            raise Unauthorized(error.reason, str(error), _AGAIN) from error
        self._used = {nonce: end for nonce, end in self._used.items() if end > now - LIFETIME_SECONDS}
        if login.nonce in self._used:
            raise Unauthorized("CodeUsed", "the code was used already", _AGAIN)
        self._used[login.nonce] = login.expires
        return ClusterUser(login.user, login.admin)

    def _keys(self) -> bytes:
        """Read on every use: the operator rotates it."""
        if self._key_file is None:
            raise GrantDisabled
        try:
            with self._key_file.open("rb") as file:
                keys = file.read(_MAX_KEY_BYTES)
        except OSError as error:
            raise GrantDisabled from error
        if not keys:
            raise GrantDisabled
        return keys


def identify(
    user: ClusterUser, snapshots: Mapping[str, Snapshot], tenant: str, issuers: Issuers
) -> PersonIdentity:
    """The Person (or administrator) that a user is, in the tenant that is meant or the only one that knows
    the user. Raises Denied(NoPerson, SeveralTenants).
    """
    meant = {name: snapshot for name, snapshot in snapshots.items() if tenant in ("", name)}
    found = {
        name: person
        for name, snapshot in meant.items()
        if (person := person_of(user.name, snapshot.persons.values(), issuers))
    }
    if len(found) == 1:
        return PersonIdentity(*next(iter(found.items())))
    if found:
        raise Denied(
            "SeveralTenants",
            f"{user.name} is a Person of {', '.join(sorted(found))}",
            "say which: set CADRE_TENANT, or tenant in the grant",
        )
    if user.admin:
        return PersonIdentity(tenant, "")
    raise Denied(
        "NoPerson",
        f"no Person of the chart has the identity of {user.name}",
        "ask a tenant admin to add a Person with this issuer and subject",
    )
