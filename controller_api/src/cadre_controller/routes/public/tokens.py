"""How a person gets in: on a desktop with the secret that only its owner can read, in a cluster as whoever
the cluster says.
"""

from cadre_controller.auth.identity import PersonIdentity
from cadre_controller.auth.kubernetes_login import identify
from cadre_controller.refusals import BadRequest, GrantDisabled
from cadre_controller.routes.models import TokenGrant, TokenIssued
from cadre_controller.routes.public.reader import tenant_of
from cadre_controller.routes.table import Answer, Call, Scope, Table

TABLE = Table(Scope.OPEN)


@TABLE.post("/api/v1/auth/token", TokenGrant, TokenIssued, max_body=16 * 1024)
async def token(call: Call[TokenGrant]) -> Answer:
    """Trade a grant for a bearer token; without `person` it is the tenant administrator's."""
    match call.input.grant:
        case "desktop":
            identity = _desktop(call)
        case "kubernetes":
            identity = await _kubernetes(call)
        case _:
            raise GrantDisabled
    issued = call.runtime.tokens.for_person(identity)
    return TokenIssued(
        access_token=issued.token,
        expires_at=issued.expires_at,
        person=identity.person,
        tenant=identity.tenant,
    )


def _desktop(call: Call[TokenGrant]) -> PersonIdentity:
    asked, runtime = call.input, call.runtime
    runtime.grants.check_person(asked.secret)
    if not asked.person:
        return PersonIdentity(asked.tenant, "")
    tenant = tenant_of(runtime, asked.tenant)
    return PersonIdentity(tenant, runtime.services.directory.person_actor(tenant, asked.person).person)


async def _kubernetes(call: Call[TokenGrant]) -> PersonIdentity:
    asked, runtime = call.input, call.runtime
    login = runtime.kubernetes_login
    if bool(asked.code) == bool(asked.token):
        raise BadRequest("grant: kubernetes takes code or token", "send exactly one of them")
    user = login.by_code(asked.code) if asked.code else await login.by_token(asked.token)
    chart = runtime.services.chart
    snapshots = {tenant: chart.current(tenant).snapshot for tenant in chart.tenants()}
    return identify(user, snapshots, asked.tenant, runtime.settings.issuer_prefixes)
