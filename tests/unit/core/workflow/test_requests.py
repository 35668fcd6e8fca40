"""What an http step asks for, told from its expressions; what is wrong with one is told when it is read."""

import pytest

from cadre_api.v1alpha1 import HttpRequest
from cadre_core.workflow import StepState
from cadre_core.workflow.expressions import ExpressionError
from cadre_core.workflow.request import (
    Target,
    is_repeatable,
    is_worth_another,
    pause_after,
    request_values,
    target_of,
)
from tests.unit.core.build import company, problems, resource, snapshot
from tests.unit.core.workflow.world import World, flow

HOSTS = ("api.acme.example", "erp.acme.example:8443")


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://api.acme.example", Target("https", "api.acme.example", 443)),
        ("HTTPS://API.acme.example/a?b=c%20d", Target("https", "api.acme.example", 443)),
        ("http://api.acme.example:80/", Target("http", "api.acme.example", 80)),
        ("https://erp.acme.example:8443?x", Target("https", "erp.acme.example", 8443)),
    ],
)
def test_whom_a_url_means(url: str, target: Target) -> None:
    assert target_of(url, HOSTS) == target


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://evil.example/", "UndeclaredHost"),
        ("https://api.acme.example:444/", "UndeclaredHost"),
        ("https://api.acme.example:80/", "UndeclaredHost"),
        ("https://erp.acme.example/", "UndeclaredHost"),
        ("https://api.acme.example.evil.example/", "UndeclaredHost"),
        ("https://api.acme.example@evil.example/", "BadUrl"),
        ("https://evil.example\\@api.acme.example/", "BadUrl"),
        ("https://api.acme.example\\.evil.example/", "BadUrl"),
        ("https://api.acme.example/a b", "BadUrl"),
        ("https://api.acme.example/\r\nX: y", "BadUrl"),
        ("https://api.acme.example/\n", "BadUrl"),
        ("https://api.acme.example#x", "BadUrl"),
        ("https://[::1]/", "BadUrl"),
        ("//api.acme.example/", "BadUrl"),
        ("ftp://api.acme.example/", "BadUrl"),
        ("https://api.acme.examplé/", "BadUrl"),
        ("", "BadUrl"),
    ],
)
def test_urls_that_lead_elsewhere(url: str, reason: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        target_of(url, HOSTS)
    assert refused.value.reason == reason


def request(**given: object) -> HttpRequest:
    return HttpRequest.model_validate({"url": "'https://api.acme.example/x'", **given})


def values(http: HttpRequest, **params: object) -> dict[str, object]:
    return request_values(http, HOSTS, {"params": params})


def test_parameters_are_encoded_and_bodies_say_what_they_are() -> None:
    http = request(method="POST", query={"month": "params.m", "n": "1"}, body="{'a': params.m}")
    assert values(http, m="May & June/é") == {
        "url": "https://api.acme.example/x?month=May+%26+June%2F%C3%A9&n=1",
        "headers": {"Content-Type": "application/json"},
        "body": '{"a":"May & June/é"}',
    }
    text = request(method="POST", url="'https://api.acme.example/x?a=1'", query={"b": "2"}, body="'hello'")
    assert values(text)["url"] == "https://api.acme.example/x?a=1&b=2"
    assert values(text)["headers"] == {"Content-Type": "text/plain; charset=utf-8"}
    own = request(method="POST", headers=[{"name": "content-type", "value": "'text/csv'"}], body="'a;b'")
    assert values(own)["headers"] == {"content-type": "text/csv"}


@pytest.mark.parametrize(
    "http",
    [
        request(url="1"),
        request(url="'https://' + params.host"),
        request(headers=[{"name": "X-A", "value": "params.host + '\\r\\nX-B: c'"}]),
        request(query={"a": "params.none"}),
    ],
)
def test_values_that_are_no_request(http: HttpRequest) -> None:
    with pytest.raises(ExpressionError):
        values(http, host="evil.example")


def test_what_may_be_sent_again() -> None:
    assert [is_repeatable(request(method=m)) for m in ("GET", "PUT", "DELETE", "POST", "PATCH")] == [
        True, True, True, False, False,
    ]  # fmt: skip
    assert is_repeatable(request(method="POST", idempotent=True))
    assert is_worth_another(429, repeatable=False) and is_worth_another(503, repeatable=True)
    assert not is_worth_another(503, repeatable=False) and not is_worth_another(404, repeatable=True)
    assert [pause_after(n, None, 0.0) for n in (1, 2, 3, 99)] == [1, 2, 4, 60]
    assert (pause_after(1, None, 1.0), pause_after(1, 20.0, 0.0), pause_after(1, 9e9, 0.0)) == (1.25, 20, 300)


def test_a_request_without_a_value_fails_its_step() -> None:
    spec = (
        "{hosts: [api.acme.example], steps: [{name: a, http: {url: \"'https://evil.example/'\"}},"
        " {name: b, http: {url: \"'https://api.acme.example/' + string(1)\"}}]}"
    )
    world = World(flow(spec))
    world.run()
    assert (world.records["a", -1].reason, world.records["a", -1].state) == (
        "UndeclaredHost",
        StepState.FAILED,
    )


ASK = (
    "{{hosts: [api.acme.example], steps: [{{name: a, http: {{url: \"'https://api.acme.example'\", {0}}}}}]}}"
)


@pytest.mark.parametrize(
    ("spec", "field", "reason"),
    [
        ("{steps: [{name: a, http: {url: \"'https://x.example'\"}}]}", "http.url", "UndeclaredHost"),
        (
            "{hosts: [y.example], steps: [{name: a, http: {url: \"'https://x.example'\"}}]}",
            "http.url",
            "UndeclaredHost",
        ),
        ("{hosts: [y.example], steps: [{name: a, http: {url: \"'x'\"}}]}", "http.url", "BadUrl"),
        ("{hosts: [y.example], steps: [{name: a, http: {url: '1 +'}}]}", "http.url", "BadExpression"),
        ("{hosts: [y.example], steps: [{name: a, http: {url: params.x}}]}", "http.url", "UnknownParameter"),
        (ASK.format("body: '1'"), "http.body", "NotOffered"),
        (ASK.format("method: POST, body: steps.b.result"), "http.body", "UnknownStep"),
        (ASK.format("query: {q: item}"), "http.query.q", "UnknownVariable"),
        (ASK.format("timeout: 6m"), "http.timeout", "BadDuration"),
        (ASK.format("timeout: 0s"), "http.timeout", "BadDuration"),
        (ASK.format("headers: [{name: Host, value: '\"x\"'}]"), "http.headers[0].name", "NotOffered"),
        (
            ASK.format("headers: [{name: a, value: '\"x\"'}, {name: A, value: '\"y\"'}]"),
            "http.headers[1].name",
            "Duplicate",
        ),
        (
            ASK.format("headers: [{name: Authorization, value: '\"x\"'}]"),
            "http.headers[0].value",
            "CredentialInChart",
        ),
    ],
)
def test_wrong_requests_are_refused_with_field_and_fix(spec: str, field: str, reason: str) -> None:
    docs = company()
    docs["Workflow/w"] = resource("Workflow", "w", spec)
    found = problems(docs)
    assert (f"spec.steps[0].{field}", reason) in [(p.field, p.reason) for p in found]
    assert all(p.fix for p in found)


def test_a_right_one_is_taken() -> None:
    docs = company()
    more = "headers: [{name: X-Key, secret: {name: erp, key: k}}], query: {q: '1'}, method: PUT, body: '{}'"
    docs["Workflow/w"] = resource("Workflow", "w", ASK.format(more))
    assert snapshot(docs).workflows["co/w"].spec.steps[0].http is not None
