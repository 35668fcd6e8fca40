"""The model endpoint in the agent's network namespace, in every dialect, streaming or not.

Refusals are 403 while no header is out (the agent then does not retry). Once a call takes longer than a
moment the header goes out and comments keep the agent waiting; a later failure ends the turn from our side.
"""

from aiohttp import web
from aiohttp.typedefs import Handler

from cadre_api.protocol.guard import AgentBundle
from cadre_guard.errors import GuardError
from cadre_guard.masking.masker import GuardRefusedError
from cadre_guard.model.border import BadRequestError, Incoming, read_body, refusal
from cadre_guard.model.call import ModelCall, ModelPath, Request
from cadre_guard.model.fixed import texts_of
from cadre_guard.model.prepare import classify, explain_refusals, refuse_foreign_tools
from cadre_guard.turn.record import CallKind
from cadre_guard.turn.turn import Turn, TurnRegistry
from cadre_guard.wire.dialect import SSE, Dialect

_HEADER_AFTER_SECONDS = 2.0
_KEEPALIVE_SECONDS = 5.0
_KEEPALIVE = b": keepalive\n\n"
_LENIENT = frozenset({"Detect", "Disabled"})


class ModelEndpoint:
    """Handlers for every dialect and for `/v1/models`."""

    def __init__(self, bundle: AgentBundle, turns: TurnRegistry, path: ModelPath) -> None:
        self.alias = bundle.model_alias
        self.path = path
        self._turns = turns
        self._extensions = frozenset(tool for tools in bundle.goose_extensions.values() for tool in tools)
        self._fixed = texts_of(bundle.tools)
        self._binary = {bundle.guard.mode, *bundle.guard.entity_actions.values()} <= _LENIENT

    async def models(self, request: web.Request) -> web.Response:
        """The one alias."""
        entry = {"id": self.alias, "object": "model", "owned_by": "cadre"}
        return web.json_response({"object": "list", "data": [entry]})

    def serve(self, dialect: Dialect) -> Handler:
        """The handler of a dialect whose body says all."""

        async def handle(request: web.Request) -> web.StreamResponse:
            opened = await self.open(request, dialect)
            if isinstance(opened, web.Response):
                return opened
            turn, body = opened
            return await self.answer(request, turn, dialect, body, dialect.streaming(body.document))

        return handle

    async def open(self, request: web.Request, dialect: Dialect) -> tuple[Turn, Incoming] | web.Response:
        """The turn behind `agent-session-id` and the body, or the refusal to send back."""
        turn = self._turns.find(request.headers.get("agent-session-id", ""))
        try:
            body = await read_body(request)
        except BadRequestError as error:
            if turn is not None:
                self.path.journal.unreadable(turn, error.reason)
            response = refusal(dialect.refusals, error.status, error.reason, error.message)
            response.force_close()  # what is left of an unread body must not pass for a request
            return response
        if turn is None:
            return refusal(dialect.refusals, 403, "NoTurn", "no turn is under way in this session")
        return turn, body

    async def answer(
        self,
        request: web.Request,
        turn: Turn,
        dialect: Dialect,
        body: Incoming,
        streaming: bool,
        api: str = "",
    ) -> web.StreamResponse:
        """One call of the model; its refusal is in the caller's format."""
        try:
            call = self.prepare(turn, dialect, body, api)
            if streaming:
                return await self._stream(request, turn, call, dialect)
            return web.Response(body=await call.whole(), content_type="application/json")
        except GuardError as error:
            self.failed(turn, error)
            return refusal(dialect.refusals, 403, error.reason, error.message)

    def unreadable(self, reason: str, session: str) -> None:
        """A request came to nothing before anybody knew what it was."""
        self.path.journal.unreadable(self._turns.find(session), reason)

    def failed(self, turn: Turn, error: GuardError) -> None:
        """A call came to nothing."""
        self.path.journal.failed(turn, error)

    def prepare(self, turn: Turn, dialect: Dialect, incoming: Incoming, api: str = "") -> ModelCall:
        """A call that has not begun; raises GuardRefusedError for what the agent must not ask."""
        body = incoming.document
        refuse_foreign_tools(dialect, body, self._extensions)
        kind = classify(dialect, body)
        if kind is CallKind.CLASSIFIER:
            raise GuardRefusedError("ModeChanged", "permissions are decided by policy, not by a model")
        explained = explain_refusals(body, turn.record)
        came = incoming.raw if explained == body else b""
        request = Request(dialect, explained, kind, api or dialect.api, self._binary, self._fixed, came)
        return ModelCall(self.path, turn, request)

    async def _stream(
        self, request: web.Request, turn: Turn, call: ModelCall, dialect: Dialect
    ) -> web.StreamResponse:
        keepalive = _KEEPALIVE if dialect.content_type == SSE else b""
        call.start()
        try:
            data = await call.next(_HEADER_AFTER_SECONDS)
            response = web.StreamResponse(
                headers={"Content-Type": dialect.content_type, "Cache-Control": "no-store"}
            )
            await response.prepare(request)
            try:
                while data is not None:
                    if data or keepalive:
                        await response.write(data or keepalive)
                    data = await call.next(_KEEPALIVE_SECONDS)
            except GuardError as error:
                self.failed(turn, error)
                await response.write(dialect.refusals.frame(error.reason, error.message))
            await response.write_eof()
            return response
        finally:
            await call.close()
