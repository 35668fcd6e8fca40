"""The gate: nothing of a request is read before its token is verified, known route or not."""

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from cadre_controller.auth.entrance import OperatorAccess
from cadre_controller.auth.identity import PersonIdentity
from cadre_controller.auth.tokens import Tokens
from cadre_controller.keys import PRINCIPAL
from cadre_controller.refusals import Unauthorized
from cadre_controller.routes.table import Scope, route_of
from cadre_controller.services.freezer import Freezer, Frozen

CLAIMS = "/guard/v1/claims"


def guard_gate(tokens: Tokens, freezer: Freezer) -> Middleware:
    """On the guard port even an unknown path needs a token, and that of a frozen agent is none."""

    @web.middleware
    async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
        route = route_of(request)
        if route is not None and route.scope is Scope.OPEN:
            return await handler(request)
        identity = request[PRINCIPAL] = tokens.guard(bearer(request))
        if route is not None and route.path == CLAIMS:
            return await handler(request)  # looks for itself: cut in the middle, leases would be lost
        try:
            async with freezer.unless_frozen(identity):
                return await handler(request)
        except Frozen:
            _hang_up(request)
            raise

    return gate


def _hang_up(request: web.Request) -> None:
    """End a stream that has begun: nothing more may follow, not even an error."""
    if request.writer.output_size and request.transport is not None:
        request.transport.abort()


def public_gate(tokens: Tokens, operator: OperatorAccess | None) -> Middleware:
    """On the public port an unknown path is simply not there; in a cluster the operator shows its account."""

    async def principal(request: web.Request) -> PersonIdentity:
        token = bearer(request)
        if operator is None or tokens.is_ours(token):
            return tokens.person(token)
        return await operator.identity(token, request.headers.get("Cadre-Tenant", ""))

    @web.middleware
    async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
        route = route_of(request)
        if route is not None and route.scope is not Scope.OPEN:
            request[PRINCIPAL] = await principal(request)
        return await handler(request)

    return gate


def bearer(request: web.Request) -> str:
    """The token of `Authorization: Bearer`; raises Unauthorized."""
    values = request.headers.getall("Authorization", [])
    if len(values) != 1:
        raise Unauthorized(
            "TokenMissing", "the request carries no bearer token", "send Authorization: Bearer <token>"
        )
    scheme, _, token = values[0].partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized(
            "TokenMissing",
            "the Authorization header is no bearer token",
            "send Authorization: Bearer <token>",
        )
    return token.strip()
