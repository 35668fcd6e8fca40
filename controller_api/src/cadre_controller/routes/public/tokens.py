"""How a person gets in: on a desktop with the secret that only its owner can read."""

from cadre_controller.auth.identity import PersonIdentity
from cadre_controller.refusals import GrantDisabled
from cadre_controller.routes.models import TokenGrant, TokenIssued
from cadre_controller.routes.public.reader import tenant_of
from cadre_controller.routes.table import Answer, Call, Scope, Table

TABLE = Table(Scope.OPEN)


@TABLE.post("/api/v1/auth/token", TokenGrant, TokenIssued, max_body=16 * 1024)
async def token(call: Call[TokenGrant]) -> Answer:
    """Trade a grant for a bearer token; without `person` it is the tenant administrator's."""
    asked, runtime = call.input, call.runtime
    if asked.grant != "desktop":
        raise GrantDisabled
    runtime.grants.check_person(asked.secret)
    identity = _identity(call)
    issued = runtime.tokens.for_person(identity)
    return TokenIssued(
        access_token=issued.token,
        expires_at=issued.expires_at,
        person=identity.person,
        tenant=identity.tenant,
    )


def _identity(call: Call[TokenGrant]) -> PersonIdentity:
    asked, runtime = call.input, call.runtime
    if not asked.person:
        return PersonIdentity(asked.tenant, "")
    tenant = tenant_of(runtime, asked.tenant)
    return PersonIdentity(tenant, runtime.services.directory.person_actor(tenant, asked.person).person)
