"""Users of a Kubernetes cluster as persons of the chart: operator and controller agree on who is who."""

from collections.abc import Iterable

from cadre_core.model import PersonSpec

ADMINS_GROUP = "cadre:admins"
"""Members of this group who are no Person are tenant administrators."""

Issuers = tuple[tuple[str, str], ...]
"""(prefix of the user name, issuer): what follows the prefix is the subject."""


def parse_issuers(text: str) -> Issuers:
    """Read `prefix=issuer` pairs separated by commas. Raises ValueError."""
    pairs = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    if not all(prefix and issuer for prefix, _, issuer in pairs):
        raise ValueError("write prefix=issuer, separated by commas")
    return tuple((prefix, issuer) for prefix, _, issuer in pairs)


def person_of(user: str, persons: Iterable[PersonSpec], issuers: Issuers = ()) -> str:
    """Return the key of the only person with this user's identity; empty when there is none, or several."""
    claimed = {_default_form(user)} | {
        (issuer, user.removeprefix(prefix)) for prefix, issuer in issuers if user.startswith(prefix)
    }
    found = [person.key for person in persons if (person.issuer, person.subject) in claimed]
    return found[0] if len(found) == 1 else ""


def _default_form(user: str) -> tuple[str, str]:
    """Split `issuer#subject`, the API server's own form for users of OpenID Connect."""
    issuer, _, subject = user.partition("#")
    return issuer, subject
