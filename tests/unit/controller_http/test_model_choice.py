"""Which model serves a call: order, policy, budget, price, locality, and who is asked at all."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from cadre_api.protocol.base import Effect
from cadre_controller.errors import Denied
from cadre_controller.gateways.model.apis import APIS, BY_NAME, CHAT, credential_headers
from cadre_controller.gateways.model.credentials import Credentials
from cadre_controller.gateways.model.health import FAILURES_TO_OPEN, OPEN_SECONDS, ProviderHealth
from cadre_controller.gateways.model.request import ModelRequest, parse_request
from cadre_controller.gateways.model.select import Candidate, endpoint_of, permitted, within_budget
from cadre_controller.refusals import BadRequest
from cadre_controller.services.models import BudgetVerdict
from cadre_core.model import Provider


def option(name: str, price: str = "1", locality: str = "Cloud") -> Candidate:
    provider = Provider(f"acme/{name}", "openai", f"http://{name}/v1", {}, {}, 0, 10)
    return Candidate(provider, "m", locality, Decimal(price), Decimal(price), "USD")


DEAR, CHEAP, HOME = option("dear", "9"), option("cheap", "2"), option("home", "0", "Local")


@pytest.mark.parametrize(
    ("verdict", "left"),
    [
        (BudgetVerdict.OK, (DEAR, CHEAP, HOME)),
        (BudgetVerdict.WARN, (DEAR, CHEAP, HOME)),
        (BudgetVerdict.DOWNSHIFT, (HOME, CHEAP, DEAR)),
        (BudgetVerdict.LOCAL_ONLY, (HOME,)),
        (BudgetVerdict.STOP, ()),
    ],
)
def test_a_budget_that_runs_out_narrows_the_choice(
    verdict: BudgetVerdict, left: tuple[Candidate, ...]
) -> None:
    assert within_budget((DEAR, CHEAP, HOME), verdict) == left


def test_only_an_allow_permits_a_model() -> None:
    effects = {DEAR.name: Effect.DENY, CHEAP.name: Effect.REQUIRE_APPROVAL, HOME.name: Effect.ALLOW}
    allowed, rejected = permitted((DEAR, CHEAP, HOME), lambda o: (effects[o.name], "Because", "so"))
    assert allowed == (HOME,)
    assert [r.name for r in rejected] == [DEAR.name, CHEAP.name]


def test_cost_is_exact() -> None:
    assert CHEAP.cost(1_000_000, 500_000) == Decimal(3)


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("http://h:81/v1", ("h", 81)),
        ("https://h/v1", ("h", 443)),
        ("http://[::1]:8/", ("::1", 8)),
        ("http://h:no/", ("", 0)),
    ],
)
def test_an_endpoint_is_host_and_port(url: str, endpoint: tuple[str, int]) -> None:
    assert endpoint_of(url) == endpoint


@pytest.mark.parametrize(
    ("api", "dialect", "base", "url"),
    [
        ("chat/completions", "openai", "https://api/v1/", "https://api/v1/chat/completions"),
        ("chat/completions", "ollama", "http://o:11434", "http://o:11434/v1/chat/completions"),
        ("chat/completions", "ollama", "http://o:11434/v1", "http://o:11434/v1/chat/completions"),
        ("chat/completions", "anthropic", "https://a", "https://a/v1/chat/completions"),
        ("chat/completions", "gemini", "https://g/v1beta", "https://g/v1beta/openai/chat/completions"),
        ("responses", "openai", "https://api/v1", "https://api/v1/responses"),
        ("embeddings", "gemini", "https://g/v1beta", "https://g/v1beta/openai/embeddings"),
        ("messages", "anthropic", "https://a", "https://a/v1/messages"),
        ("messages", "anthropic", "https://a/v1", "https://a/v1/messages"),
        ("ollama/chat", "ollama", "http://o:11434/v1", "http://o:11434/api/chat"),
        ("ollama/generate", "ollama", "http://o:11434", "http://o:11434/api/generate"),
        (
            "gemini/generateContent",
            "gemini",
            "https://g/v1beta/openai",
            "https://g/v1beta/models/m:generateContent",
        ),
        (
            "gemini/streamGenerateContent",
            "gemini",
            "https://g/v1beta",
            "https://g/v1beta/models/m:streamGenerateContent?alt=sse",
        ),
    ],
)
def test_every_api_has_its_url_at_every_dialect(api: str, dialect: str, base: str, url: str) -> None:
    assert BY_NAME[api].url(dialect, base, "m") == url


def test_a_credential_goes_where_its_provider_looks_for_it() -> None:
    assert credential_headers(CHAT, "anthropic", "s") == {"Authorization": "Bearer s"}
    assert credential_headers(BY_NAME["messages"], "anthropic", "s")["x-api-key"] == "s"
    assert credential_headers(BY_NAME["gemini/generateContent"], "gemini", "s") == {"x-goog-api-key": "s"}
    assert all("s" not in credential_headers(api, "openai", "").values() for api in APIS)


def test_the_breaker_opens_after_failures_and_lets_one_through_later() -> None:
    health = ProviderHealth()
    for _ in range(FAILURES_TO_OPEN):
        assert health.usable_in("p", 60, 100.0) == 0
        health.failed("p", 100.0)
    assert health.usable_in("p", 60, 100.0) == OPEN_SECONDS
    assert health.open(100.0) == ("p",)
    later = 100.0 + OPEN_SECONDS
    assert health.usable_in("p", 60, later) == 0
    health.take("p", 60, later)
    assert health.usable_in("p", 60, later) > 0
    health.succeeded("p")
    assert health.usable_in("p", 60, later) == 0


def test_a_rate_limit_is_kept_and_refills() -> None:
    health = ProviderHealth()
    for _ in range(2):
        assert health.usable_in("p", 2, 0.0) == 0
        health.take("p", 2, 0.0)
    assert health.usable_in("p", 2, 0.0) == pytest.approx(30)
    assert health.usable_in("p", 2, 30.0) == 0


def test_no_rate_limit_means_none() -> None:
    health = ProviderHealth()
    for _ in range(100):
        health.take("p", 0, 0.0)
    assert health.usable_in("p", 0, 0.0) == 0


def chat(**more: object) -> ModelRequest:
    return parse_request(
        CHAT, {"model": "alias", "messages": [{"role": "user", "content": "hi"}], **more}, 30
    )


def test_the_body_goes_on_unchanged_but_for_model_and_usage() -> None:
    request = chat(stream=True, stream_options={"x": 1}, temperature=0.5)
    assert request.stream and not request.wants_usage
    sent = request.for_model("gpt")
    assert b'"model":"gpt"' in sent and b'"temperature":0.5' in sent
    assert b'"stream_options":{"x":1,"include_usage":true}' in sent
    assert b"stream_options" not in chat().for_model("gpt")


def test_estimates_follow_the_request() -> None:
    assert chat(max_tokens=50).output_tokens() == 50
    assert chat(max_completion_tokens=9).output_tokens() == 9
    assert chat().output_tokens() > 1000 and chat().input_tokens() > 0


def test_every_text_that_could_carry_a_value_is_scanned() -> None:
    request = chat(
        metadata={"owner of a@b.example": "x"},
        tools=[{"function": {"parameters": {"default": "secret"}}}],
        card=4111111111111111,
    )
    texts = {text for part in request.parts() for text in part}
    assert {"hi", "owner of a@b.example", "secret", "4111111111111111"} <= texts
    assert "user" not in texts


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "the body"),
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["x"]}, "messages"),
        ({"messages": [{}], "n": 2}, "n:"),
        ({"messages": [{}], "stream": "yes"}, "stream"),
    ],
)
def test_a_bad_chat_body_names_its_field(body: object, field: str) -> None:
    with pytest.raises(BadRequest, match=field) as refused:
        parse_request(CHAT, body, 1)
    assert refused.value.fix


def credentials(environment: Mapping[str, str], stored: Mapping[str, str]) -> Credentials:
    return Credentials(environment, stored.get)


def test_a_credential_comes_from_the_environment_or_the_keystore() -> None:
    reference = {"secret": "open-ai", "key": "apiKey"}
    both = credentials({"CADRE_SECRET_OPEN_AI_APIKEY": "env"}, {"secret/open-ai/apiKey": "kept"})
    assert both.resolve(reference, "p") == "env"
    assert credentials({}, {"secret/open-ai/apiKey": "kept"}).resolve(reference, "p") == "kept"
    assert credentials({}, {}).resolve({}, "p") == ""


def test_a_mounted_credential_is_the_one_that_is_there_now(tmp_path: Path) -> None:
    file = tmp_path / "mounted" / "open-ai" / "apiKey"
    file.parent.mkdir(parents=True)
    (tmp_path / "other").write_text("another's")
    held = credentials({"CADRE_SECRET_DIR": str(file.parents[1])}, {"secret/open-ai/apiKey": "kept"})
    found = []
    for content in ("first\n", "second", "", b"\xff"):
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        found.append(held.resolve({"secret": "open-ai", "key": "apiKey"}, "p"))
    assert found == ["first", "second", "kept", "kept"]
    with pytest.raises(Denied):
        held.resolve({"secret": "..", "key": "other"}, "p")


@pytest.mark.parametrize("reference", [{"secret": "s", "key": "k"}, {"vault": "p", "field": "f"}])
def test_a_missing_credential_says_where_to_put_it(reference: dict[str, str]) -> None:
    with pytest.raises(Denied) as refused:
        credentials({}, {}).resolve(reference, "provider acme/openai")
    assert refused.value.reason == "CredentialMissing" and refused.value.fix


def test_on_a_cluster_a_missing_credential_names_the_secret(tmp_path: Path) -> None:
    with pytest.raises(Denied) as refused:
        credentials({"CADRE_SECRET_DIR": str(tmp_path)}, {}).resolve({"secret": "s", "key": "k"}, "p")
    assert refused.value.fix == "put k into the Secret s, and s into controller.credentials of the release"
