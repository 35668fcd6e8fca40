"""Answers whoever signs in by way of the cluster: a dry run of creating an Agent that is never made."""

import time

from cadre_core.login import AGENT, LIFETIME_SECONDS, NOTE, WARNING, Login, LoginError, seal_login
from cadre_core.users import ADMINS_GROUP
from cadre_operator.admission.review import RefusedError, Review


def signs_in(review: Review) -> bool:
    """Whether this is somebody signing in, rather than an Agent."""
    return review.kind == "Agent" and review.name == AGENT


def login_warning(review: Review, user: str, groups: tuple[str, ...], keys: bytes) -> str:
    """Return the warning with the code. Raises RefusedError."""
    if not review.dry_run or review.operation != "CREATE":
        message = f"metadata.name: {AGENT} is for signing in and is never made; choose another name"
        raise RefusedError("NameReserved", message, 422)
    if not keys:
        raise RefusedError("Starting", "the keys for signing in are being read; try again", 503)
    expires = int(time.time()) + LIFETIME_SECONDS
    login = Login(user, review.new_notes.get(NOTE, ""), expires, ADMINS_GROUP in groups)
    try:
        return WARNING + seal_login(login, keys)
    except LoginError as error:
        raise RefusedError(error.reason, str(error), 422) from error
