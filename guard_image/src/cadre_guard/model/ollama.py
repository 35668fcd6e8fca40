"""Ollama's native chat for agents that speak it: translated to chat completions here, and back.

One dialect upstream means that masking, restoring and the turn's record have one path. NDJSON has no
comments, so while a call waits the agent sees the header and nothing else.
"""

from aiohttp import web

from cadre_api.protocol.guard import AgentBundle
from cadre_guard.errors import GuardError
from cadre_guard.jsonvalue import parse_object
from cadre_guard.model.call import ModelCall
from cadre_guard.model.endpoint import ModelEndpoint, read_body
from cadre_guard.model.ollama_dialect import FrameTranslator, chat_completion, json_line, now, whole_reply
from cadre_guard.turn.turn import Turn
from cadre_guard.wire.body import encode_body

_NDJSON = {"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"}
_PATIENCE_SECONDS = 5.0


class OllamaEndpoint:
    """Handlers for `/api/chat` and `/api/tags`."""

    def __init__(self, bundle: AgentBundle, models: ModelEndpoint) -> None:
        self._alias = bundle.model_alias
        self._models = models

    async def tags(self, request: web.Request) -> web.Response:
        """The one alias."""
        entry = {"name": self._alias, "model": self._alias, "modified_at": now(), "size": 0, "digest": ""}
        return web.json_response({"models": [entry]})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """A chat for the turn behind `agent-session-id`."""
        body = await read_body(request)
        if isinstance(body, web.Response):
            return _error(body.status, "BadBody", "the body is not a JSON object this endpoint takes")
        turn = self._models.turn_of(request)
        if turn is None:
            return _error(403, "NoTurn", "no turn is under way")
        streaming = body.get("stream") is not False
        try:
            call = self._models.prepare(turn, chat_completion(body, streaming=streaming))
            if streaming:
                return await self._stream(request, turn, call)
            return web.json_response(whole_reply(parse_object(await call.whole()) or {}, self._alias))
        except GuardError as error:
            self._models.failed(turn, error)
            return _error(403, error.reason, error.message)

    async def _stream(self, request: web.Request, turn: Turn, call: ModelCall) -> web.StreamResponse:
        call.start()
        frames = FrameTranslator(self._alias)
        try:
            data = await call.next(_PATIENCE_SECONDS)
            response = web.StreamResponse(headers=_NDJSON)
            await response.prepare(request)
            try:
                while data is not None:
                    await response.write(frames.feed(data))
                    data = await call.next(_PATIENCE_SECONDS)
                await response.write(frames.finish())
            except GuardError as error:
                self._models.failed(turn, error)
                await response.write(json_line({"error": f"{error.reason}: {error.message}"}))
            await response.write_eof()
            return response
        finally:
            await call.close()


def _error(status: int, reason: str, message: str) -> web.Response:
    return web.Response(
        status=status, body=encode_body({"error": f"{reason}: {message}"}), content_type="application/json"
    )
