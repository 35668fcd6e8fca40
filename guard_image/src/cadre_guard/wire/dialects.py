"""The dialects, one value each."""

from __future__ import annotations

from collections.abc import Callable

from cadre_detect.jsonwalk import Json
from cadre_guard.wire import (
    anthropic_messages,
    embeddings,
    gemini,
    ollama_chat,
    openai_chat,
    openai_completions,
    openai_responses,
)
from cadre_guard.wire.anthropic_stream import MessagesStreamRestorer
from cadre_guard.wire.dialect import NDJSON, Body, Dialect, as_items, member, name_at, text_in
from cadre_guard.wire.gemini_stream import GenerateStreamRestorer
from cadre_guard.wire.openai_completions import CompletionStreamRestorer
from cadre_guard.wire.openai_stream import ChatStreamRestorer
from cadre_guard.wire.refusals import (
    AnthropicRefusals,
    GeminiRefusals,
    OllamaRefusals,
    OpenAIRefusals,
    ResponsesRefusals,
)
from cadre_guard.wire.responses_stream import ResponsesStreamRestorer

_NOT_A_LIST = [""]


def _tools(body: Body, *path: str) -> list[str]:
    tools = body.get("tools")
    if tools is None:
        return []
    return [name_at(tool, *path) for tool in as_items(tools)] or ([] if tools == [] else _NOT_A_LIST)


def _functions(body: Body) -> list[str]:
    legacy = [name_at(function, "name") for function in as_items(body.get("functions"))]
    return _tools(body, "function", "name") + legacy


def _first_message(body: Body) -> str:
    messages = as_items(body.get("messages"))
    return text_in(member(messages[0], "content")) if messages else ""


def _declared(body: Body) -> list[str]:
    names: list[str] = []
    for tool in as_items(body.get("tools")):
        declared = member(tool, "functionDeclarations") or member(tool, "function_declarations")
        names += [name_at(each, "name") for each in as_items(declared)] or _NOT_A_LIST
        names += _NOT_A_LIST * (isinstance(tool, dict) and len(tool) > 1)
    return names


def _none(body: Body) -> list[str]:
    return []


def _no_system(body: Body) -> str:
    return ""


def _text(name: str, *others: str) -> Callable[[Body], str]:
    def read(body: Body) -> str:
        found: list[Json] = [body.get(each) for each in (name, *others)]
        return text_in(found)

    return read


OPENAI_CHAT = Dialect(
    api="chat/completions",
    rules=openai_chat.REQUEST,
    check=openai_chat.check_request,
    restore=openai_chat.restore_reply,
    stream=ChatStreamRestorer,
    refusals=OpenAIRefusals(),
    tools=_functions,
    system=_first_message,
)
OPENAI_COMPLETIONS = Dialect(
    api="completions",
    rules=openai_completions.REQUEST,
    check=openai_completions.check_request,
    restore=openai_completions.restore_reply,
    stream=CompletionStreamRestorer,
    refusals=OpenAIRefusals(),
    tools=_none,
    system=_no_system,
)
OPENAI_RESPONSES = Dialect(
    api="responses",
    rules=openai_responses.REQUEST,
    check=openai_responses.check_request,
    restore=openai_responses.restore_reply,
    stream=ResponsesStreamRestorer,
    refusals=ResponsesRefusals(),
    tools=lambda body: _tools(body, "name"),
    system=_text("instructions"),
)
OPENAI_EMBEDDINGS = Dialect(
    api="embeddings",
    rules=embeddings.REQUEST,
    check=embeddings.check_request,
    restore=embeddings.restore_reply,
    stream=None,
    refusals=OpenAIRefusals(),
    tools=_none,
    system=_no_system,
    must_say=False,
)
ANTHROPIC_MESSAGES = Dialect(
    api="messages",
    rules=anthropic_messages.REQUEST,
    check=anthropic_messages.check_request,
    restore=anthropic_messages.restore_reply,
    stream=MessagesStreamRestorer,
    refusals=AnthropicRefusals(),
    tools=lambda body: _tools(body, "name"),
    system=_text("system"),
)
OLLAMA_CHAT = Dialect(
    api="ollama/chat",
    rules=ollama_chat.REQUEST,
    check=ollama_chat.check_request,
    restore=ollama_chat.restore_reply,
    stream=ollama_chat.ChatStreamRestorer,
    refusals=OllamaRefusals(),
    tools=_functions,
    system=_first_message,
    streams_by_default=True,
    content_type=NDJSON,
)
OLLAMA_GENERATE = Dialect(
    api="ollama/generate",
    rules=ollama_chat.REQUEST,
    check=ollama_chat.check_request,
    restore=ollama_chat.restore_reply,
    stream=ollama_chat.ChatStreamRestorer,
    refusals=OllamaRefusals(),
    tools=_none,
    system=_text("system"),
    streams_by_default=True,
    content_type=NDJSON,
)
OLLAMA_EMBED = Dialect(
    api="ollama/embed",
    rules=embeddings.REQUEST,
    check=embeddings.check_request,
    restore=embeddings.restore_reply,
    stream=None,
    refusals=OllamaRefusals(),
    tools=_none,
    system=_no_system,
    must_say=False,
)
GEMINI = Dialect(
    api="gemini/generateContent",
    rules=gemini.REQUEST,
    check=gemini.check_request,
    restore=gemini.restore_reply,
    stream=GenerateStreamRestorer,
    refusals=GeminiRefusals(),
    tools=_declared,
    system=_text("systemInstruction", "system_instruction"),
    names_model=False,
)
ALL = (
    OPENAI_CHAT,
    OPENAI_COMPLETIONS,
    OPENAI_RESPONSES,
    OPENAI_EMBEDDINGS,
    ANTHROPIC_MESSAGES,
    OLLAMA_CHAT,
    OLLAMA_GENERATE,
    OLLAMA_EMBED,
    GEMINI,
)
