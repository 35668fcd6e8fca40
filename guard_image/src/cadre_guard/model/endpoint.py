"""The model endpoint in the agent's network namespace: OpenAI chat completions, streaming or not.

Refusals are 403 while no header is out (the agent then does not retry). Once a call takes longer than a
moment the header goes out and comments keep the agent waiting; a later failure ends the turn from our side.
"""

import aiohttp
from aiohttp import web

from cadre_api.protocol.guard import AgentBundle
from cadre_detect.errors import DetectionError
from cadre_detect.jsonwalk import Json
from cadre_guard.errors import GuardError
from cadre_guard.masking.masker import GuardRefusedError
from cadre_guard.model.call import ModelCall, ModelPath
from cadre_guard.model.prepare import classify, explain_refusals, refuse_foreign_tools
from cadre_guard.turn.record import CallKind
from cadre_guard.turn.turn import Turn, TurnRegistry
from cadre_guard.wire.body import encode_body, parse_body

_HEADER_AFTER_SECONDS = 2.0
_KEEPALIVE_SECONDS = 5.0
_SSE_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}


class ModelEndpoint:
    """Handlers for `/v1/chat/completions` and `/v1/models`."""

    def __init__(self, bundle: AgentBundle, turns: TurnRegistry, path: ModelPath) -> None:
        self._bundle = bundle
        self._turns = turns
        self._path = path
        self._extensions = frozenset(tool for tools in bundle.goose_extensions.values() for tool in tools)

    async def models(self, request: web.Request) -> web.Response:
        """The one alias."""
        entry = {"id": self._bundle.model_alias, "object": "model", "owned_by": "cadre"}
        return web.json_response({"object": "list", "data": [entry]})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """A chat completion for the turn behind `agent-session-id`."""
        body = await read_body(request)
        if isinstance(body, web.Response):
            return body
        turn = self.turn_of(request)
        if turn is None:
            return openai_error(403, "NoTurn", "no turn is under way in this session")
        try:
            call = self.prepare(turn, body)
            if body.get("stream") is True:
                return await self._stream(request, turn, call)
            return web.Response(body=await call.whole(), content_type="application/json")
        except GuardError as error:
            self.failed(turn, error)
            return openai_error(403, error.reason, error.message)

    def turn_of(self, request: web.Request) -> Turn | None:
        """The turn a request belongs to."""
        return self._turns.find(request.headers.get("agent-session-id", ""))

    def failed(self, turn: Turn, error: GuardError) -> None:
        """A call came to nothing."""
        self._path.journal.failed(turn, error)

    def prepare(self, turn: Turn, body: dict[str, Json]) -> ModelCall:
        """A call that has not begun; raises GuardRefusedError for what the agent must not ask."""
        refuse_foreign_tools(body, self._extensions)
        kind = classify(body)
        if kind is CallKind.CLASSIFIER:
            raise GuardRefusedError("ModeChanged", "permissions are decided by policy, not by a model")
        return ModelCall(self._path, turn, kind, explain_refusals(body, turn.record))

    async def _stream(self, request: web.Request, turn: Turn, call: ModelCall) -> web.StreamResponse:
        call.start()
        try:
            data = await call.next(_HEADER_AFTER_SECONDS)
            response = web.StreamResponse(headers=_SSE_HEADERS)
            await response.prepare(request)
            try:
                while data is not None:
                    await response.write(data or b": keepalive\n\n")
                    data = await call.next(_KEEPALIVE_SECONDS)
            except GuardError as error:
                self.failed(turn, error)
                await response.write(
                    b"data: " + encode_body(_error_body(error.reason, error.message)) + b"\n\n"
                )
            await response.write_eof()
            return response
        finally:
            await call.close()


async def read_body(request: web.Request) -> dict[str, Json] | web.Response:
    """The request's JSON object, or the refusal to send back; nothing of a bad body goes anywhere."""
    try:
        return parse_body(await request.read())
    except DetectionError as error:
        status = 413 if error.reason == "BodyTooLarge" else 400
        return openai_error(status, error.reason, str(error))
    except web.HTTPRequestEntityTooLarge:
        return openai_error(413, "BodyTooLarge", "the body is larger than this endpoint takes")
    except (aiohttp.ClientPayloadError, web.RequestPayloadError, ValueError):
        return openai_error(400, "BadEncoding", "the body could not be read")


def openai_error(status: int, reason: str, message: str) -> web.Response:
    """An error in the shape OpenAI clients understand."""
    return web.json_response(_error_body(reason, message), status=status)


def _error_body(reason: str, message: str) -> dict[str, Json]:
    return {"error": {"message": message, "type": "cadre_guard", "code": reason, "param": None}}
