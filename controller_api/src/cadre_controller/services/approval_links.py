"""Links for one decision by one person: whoever else holds one learns nothing from it and decides nothing."""

import hashlib
import secrets
from datetime import datetime

from cadre_controller.errors import NotFound
from cadre_controller.ports import Actor
from cadre_controller.services.kernel import Kernel
from cadre_controller.store.work import Statement

PREFIX = "apl_"


def new_link(tenant: str, approval_id: str, person: str, expires_at: datetime) -> tuple[str, Statement]:
    """A code for this person (opaque id), and the row that keeps its hash."""
    code = PREFIX + secrets.token_urlsafe(24)
    return code, Statement("link_insert", (tenant, _hash(code), approval_id, person, expires_at))


def use_link(actor: Actor, code: str, now: datetime) -> Statement:
    """Use the code up; refuses the whole work when it is not the actor's, or not any more."""
    return Statement("link_use", (actor.tenant, _hash(code), actor.id, now))


async def find_link(kernel: Kernel, actor: Actor, code: str) -> str:
    """The approval that the actor may decide by it. Raises NotFound(UnknownLink)."""
    key = (actor.tenant, _hash(code), actor.id, kernel.clock.now())
    row = await kernel.db.fetch_one(actor.tenant, "link_find", *key)
    if row is None:
        raise unknown_link()
    return str(row["approval_id"])


def unknown_link() -> NotFound:
    """Not this person's, used, over, or never given: nobody is told which."""
    return NotFound(
        "UnknownLink", "this link is not yours, or not any more", "cadre approvals lists what waits"
    )


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
