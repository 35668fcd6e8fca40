"""The official clients of three providers talk to the scripted model unchanged."""

import json

import anthropic
import ollama
import openai
import pytest

from tests.unit.scripted.conftest import Play

WEATHER = """
  - name: calls
    when: {user: weather, offers: [get_weather], notCalled: [get_weather], capture: {city: 'in (\\w+)'}}
    reply:
      text: Let me look.
      toolCalls: [{name: get_weather, arguments: {city: "{{city}}", days: 2}}]
      chunk: {characters: 3}
      usage: {input: 30, output: 12}
  - name: tells
    when: {toolResultOf: get_weather, capture: {city: 'in (\\w+)'}}
    reply: {text: "In {{city}}: {{toolResult}} - naïve 🌞", chunk: {characters: 1}}
"""
FUNCTION = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}},
}
ASK = [{"role": "user", "content": "What is the weather in Bergen?"}]
TOLD = "In Bergen: sun - naïve 🌞"


def openai_client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="sk-test", max_retries=0)


def test_openai_whole(play: Play) -> None:
    with openai_client(play(WEATHER).url) as client:
        assert [model.id for model in client.models.list()] == ["scripted"]
        first = client.chat.completions.create(model="m", messages=ASK, tools=[FUNCTION])
        message = first.choices[0].message
        call = message.tool_calls[0]
        assert (message.content, call.function.name) == ("Let me look.", "get_weather")
        assert json.loads(call.function.arguments) == {"city": "Bergen", "days": 2}
        assert first.choices[0].finish_reason == "tool_calls"
        assert first.usage.total_tokens == 42
        result = {"role": "tool", "tool_call_id": call.id, "content": "sun"}
        history = [*ASK, message.model_dump(exclude_none=True), result]
        second = client.chat.completions.create(model="m", messages=history, tools=[FUNCTION])
        assert second.choices[0].message.content == TOLD
        assert second.choices[0].finish_reason == "stop"


def test_openai_stream(play: Play) -> None:
    with openai_client(play(WEATHER).url) as client:
        stream = client.chat.completions.create(
            model="m", messages=ASK, tools=[FUNCTION], stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
        choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
        assert "".join(choice.delta.content or "" for choice in choices) == "Let me look."
        calls = [call for choice in choices for call in choice.delta.tool_calls or []]
        arguments = "".join(call.function.arguments or "" for call in calls)
        assert json.loads(arguments) == {"city": "Bergen", "days": 2}
        assert len(calls) > 5
        assert choices[-1].finish_reason == "tool_calls"
        assert chunks[-1].usage.prompt_tokens == 30


def test_anthropic_whole_and_stream(play: Play) -> None:
    tool = {"name": "get_weather", "input_schema": {"type": "object"}}
    with anthropic.Anthropic(base_url=play(WEATHER).url, api_key="k", max_retries=0) as client:
        asked = {"model": "m", "max_tokens": 99, "system": "Be brief.", "tools": [tool]}
        first = client.messages.create(messages=ASK, **asked)
        assert [block.type for block in first.content] == ["text", "tool_use"]
        use = first.content[1]
        assert (use.name, use.input, first.stop_reason) == (
            "get_weather",
            {"city": "Bergen", "days": 2},
            "tool_use",
        )
        answer = {"type": "tool_result", "tool_use_id": use.id, "content": "sun"}
        content = [block.model_dump(exclude_none=True) for block in first.content]
        history = [*ASK, {"role": "assistant", "content": content}, {"role": "user", "content": [answer]}]
        with client.messages.stream(messages=history, **asked) as stream:
            assert "".join(stream.text_stream) == TOLD
        with client.messages.stream(messages=ASK, **asked) as stream:
            final = stream.get_final_message()
        assert final.content[1].input == {"city": "Bergen", "days": 2}
        assert final.content[1].id != use.id
        assert (final.usage.input_tokens, final.usage.output_tokens) == (30, 12)


def test_ollama_whole_and_stream(play: Play) -> None:
    client = ollama.Client(host=play(WEATHER).url)
    try:
        assert [model.model for model in client.list().models] == ["scripted"]
        first = client.chat(model="m", messages=ASK, tools=[FUNCTION])
        assert first.message.tool_calls[0].function.arguments == {"city": "Bergen", "days": 2}
        history = [*ASK, first.message, {"role": "tool", "content": "sun"}]
        parts = list(client.chat(model="m", messages=history, tools=[FUNCTION], stream=True))
        assert "".join(part.message.content or "" for part in parts) == TOLD
        assert parts[-1].done
        assert parts[-1].done_reason == "stop"
    finally:
        client._client.close()


def test_ids_of_tool_calls_are_unique_over_restarts(play: Play) -> None:
    seen = set()
    for server in (play(WEATHER), play(WEATHER)):
        with openai_client(server.url) as client:
            for _ in range(3):
                answer = client.chat.completions.create(model="m", messages=ASK, tools=[FUNCTION])
                seen.add(answer.choices[0].message.tool_calls[0].id)
    assert len(seen) == 6


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/api/chat"])
def test_every_answer_says_it_is_scripted(play: Play, path: str) -> None:
    import urllib.request

    url = play("  - {name: hello, reply: {text: Hello}}\n").url
    body = json.dumps({"model": "m", "messages": ASK, "stream": False}).encode()
    with urllib.request.urlopen(urllib.request.Request(url + path, body), timeout=10) as answer:
        assert "no model is behind this" in answer.headers["X-Scripted"]
        assert b"Hello" in answer.read()
