"""The HTTP application: every dialect, one scenario, one record."""

import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count

from aiohttp import web

from cadre_scripted.answer import Answer, FillError, build_answer
from cadre_scripted.conversation import BadRequestError, Conversation, Json, as_object
from cadre_scripted.dialects import Dialect
from cadre_scripted.dialects.anthropic import Anthropic
from cadre_scripted.dialects.completions import Completions, embeddings
from cadre_scripted.dialects.gemini import Gemini
from cadre_scripted.dialects.ollama import Ollama, OllamaGenerate, tags
from cadre_scripted.dialects.openai import OpenAI
from cadre_scripted.dialects.responses import Responses
from cadre_scripted.matching import explain_no_match, find_rule
from cadre_scripted.playing import LABEL, play
from cadre_scripted.record import Recorded, Recorder, headers_without_credentials
from cadre_scripted.scenario import Scenario

_LARGEST_BODY = 64 * 1024 * 1024
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RefusalError(Exception):
    """The request cannot be answered from the scenario."""

    def __init__(self, status: int, message: str, code: str) -> None:
        """Keep what the dialect's error body needs."""
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


class Stage:
    """A scenario being played: how often each rule answered, and ids no other answer has."""

    def __init__(self, scenario: Scenario, recorder: Recorder) -> None:
        """Start at the beginning."""
        self.scenario, self.recorder = scenario, recorder
        self._used: Counter[str] = Counter()
        self._run, self._ids = secrets.token_hex(4), count(1)

    def new_id(self, prefix: str) -> str:
        """Return an id that is unique over all runs."""
        return f"{prefix}_{self._run}{next(self._ids):06d}"

    def reset(self) -> None:
        """Forget requests and rule counts; ids go on."""
        self._used.clear()
        self.recorder.clear()

    def answer(self, asked: Conversation) -> tuple[str, Answer]:
        """Return the rule's name and its answer; RefusalError when there is none."""
        match = find_rule(self.scenario, asked, self._used)
        if match is None:
            raise RefusalError(500, explain_no_match(self.scenario, asked), "NoRuleMatched")
        self._used[match.rule.name] += 1
        try:
            return match.rule.name, build_answer(match, asked, self.new_id)
        except FillError as error:
            raise RefusalError(500, f"rule {match.rule.name!r}: {error}", "TemplateError") from error


def create_app(scenario: Scenario, recorder: Recorder) -> web.Application:
    """Build the server for one scenario; the recorder is closed with it."""
    stage = Stage(scenario, recorder)
    app = web.Application(client_max_size=_LARGEST_BODY)
    chats: tuple[tuple[str, Dialect], ...] = (
        ("/v1/chat/completions", OpenAI()),
        ("/v1/messages", Anthropic()),
        ("/v1/completions", Completions()),
        ("/v1/responses", Responses()),
        ("/api/chat", Ollama()),
        ("/api/generate", OllamaGenerate()),
        ("/v1beta/models/{model}:generateContent", Gemini(stream=False)),
        ("/v1beta/models/{model}:streamGenerateContent", Gemini(stream=True)),
    )
    for path, dialect in chats:
        app.router.add_post(path, _chat(stage, dialect))
    app.router.add_post("/v1/embeddings", _embed)
    app.router.add_get("/v1/models", _constant(lambda: _models(scenario.model)))
    app.router.add_get("/api/tags", _constant(lambda: tags(scenario.model, time.time())))
    app.router.add_get("/api/version", _constant(lambda: {"version": "0.0.0-scripted"}))
    app.router.add_get("/health", _constant(lambda: {"status": "ok", "scenario": scenario.name}))
    app.router.add_get("/__scripted__/requests", _constant(recorder.all))
    app.router.add_post("/__scripted__/reset", _constant(stage.reset))

    async def close_recorder(_: web.Application) -> AsyncIterator[None]:
        yield
        recorder.close()

    app.cleanup_ctx.append(close_recorder)
    return app


def _constant(value: Callable[[], object]) -> Handler:
    async def handle(_: web.Request) -> web.Response:
        return web.json_response(value(), headers=LABEL)

    return handle


def _models(model: str) -> Json:
    entry = {"id": model, "object": "model", "created": 0, "owned_by": "cadre-scripted"}
    return {"object": "list", "data": [entry]}


async def _embed(request: web.Request) -> web.Response:
    try:
        body = as_object(_json(await request.read()), "body")
    except BadRequestError as error:
        return web.json_response(OpenAI().error(400, str(error), "BadRequest"), status=400, headers=LABEL)
    return web.json_response(embeddings(body), headers=LABEL)


def _chat(stage: Stage, dialect: Dialect) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body: object = None
        try:
            body = _json(raw)
            asked = dialect.parse(as_object(body, "body"))
            rule, answer = stage.answer(asked)
        except BadRequestError as error:
            refusal = RefusalError(400, str(error), "BadRequest")
        except RefusalError as error:
            refusal = error
        else:
            status = answer.fault.status if answer.fault else 0
            stage.recorder.add(_recorded(stage, request, dialect, raw, body, rule, status or 200))
            return await play(request, dialect, answer, asked)
        stage.recorder.add(_recorded(stage, request, dialect, raw, body, "", refusal.status))
        content = dialect.error(refusal.status, refusal.message, refusal.code)
        return web.json_response(content, status=refusal.status, headers=LABEL)

    return handle


def _json(raw: bytes) -> object:
    try:
        parsed: object = json.loads(raw)
    except ValueError as error:
        raise BadRequestError(f"body: not JSON: {error}") from error
    return parsed


def _recorded(
    stage: Stage, request: web.Request, dialect: Dialect, raw: bytes, body: object, rule: str, status: int
) -> Recorded:
    return Recorded(
        number=stage.recorder.next_number(),
        at=time.time(),
        method=request.method,
        path=request.path_qs,
        dialect=dialect.name,
        headers=headers_without_credentials(request.headers),
        body=body,
        raw=raw.decode("utf-8", "backslashreplace"),
        rule=rule,
        status=status,
    )
