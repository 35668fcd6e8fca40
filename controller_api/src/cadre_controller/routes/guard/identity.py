"""How a guard gets in, and the signed bundle that tells it what it is."""

from pydantic import Field

from cadre_api.protocol.base import Message
from cadre_api.protocol.guard import (
    BundleAck,
    BundleResponse,
    TokenRequest,
    TokenResponse,
    VerificationKeys,
)
from cadre_controller.ports import AgentIdentity
from cadre_controller.refusals import BadRequest, ShuttingDown
from cadre_controller.routes.guard.caller import LONGEST_WAIT, caller
from cadre_controller.routes.table import Answer, Call, Nothing, Scope, Table

TABLE = Table(Scope.GUARD)


class BundleQuery(Message):
    """What the guard has, and how many seconds it waits for more."""

    after: int = 0
    wait: float = Field(default=25, ge=0, le=LONGEST_WAIT)


@TABLE.post("/guard/v1/token", TokenRequest, TokenResponse, max_body=16 * 1024, scope=Scope.OPEN)
async def token(call: Call[TokenRequest]) -> Answer:
    """Trade an identity proof for a JWT bound to this instance; older instances of its replica lose their
    leases.
    """
    asked, runtime = call.input, call.runtime
    if not 1 <= len(asked.instance) <= 80:
        raise BadRequest("instance: must be 1 to 80 characters", "send an id of this process start")
    instance, replica = await runtime.guards.check(asked.agent, asked.bootstrap, asked.instance)
    tenant = runtime.services.directory.tenant_of_agent(asked.agent)
    identity = AgentIdentity(tenant, asked.agent, instance, replica)
    runtime.services.freezer.require_running(identity)
    await runtime.services.leases.take_over(identity)
    issued = runtime.tokens.for_guard(identity)
    return TokenResponse(
        token=issued.token,
        expires_at=issued.expires_at,
        bundle_key=runtime.services.bundles.public_jwk(),
        analyzer_token=runtime.tokens.for_analyzer(identity).token,
    )


@TABLE.get("/guard/v1/jwks", Nothing, VerificationKeys, scope=Scope.OPEN)
async def jwks(call: Call[Nothing]) -> Answer:
    """The keys by which the analyzers of machines know guards."""
    return VerificationKeys(keys=(call.runtime.tokens.public_jwk(),))


@TABLE.get("/guard/v1/bundle", BundleQuery, BundleResponse)
async def bundle(call: Call[BundleQuery]) -> Answer:
    """The agent's signed configuration; 204 when there is nothing newer within the wait."""
    bundles = call.runtime.services.bundles
    try:
        jws = await call.runtime.unless_stopping(
            bundles.wait(caller(call), call.input.after, call.input.wait)
        )
    except ShuttingDown:
        return None
    return BundleResponse(jws=jws) if jws else None


@TABLE.post("/guard/v1/bundle/ack", BundleAck, None, status=204, max_body=16 * 1024)
async def ack(call: Call[BundleAck]) -> Answer:
    """What became of a bundle at the guard."""
    await call.runtime.services.bundles.ack(caller(call), call.input)
    return None
