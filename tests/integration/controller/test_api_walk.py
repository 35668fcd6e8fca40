"""A walk over every operation of both OpenAPI documents, with values that the schemas allow and others.

Whatever is sent, no answer is an unexpected 5xx. API_WALK_ROUNDS lengthens it, API_WALK_SEED chooses it.
"""

import json
import os
import random
import string
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.integration.controller.stand import FIN, Peer, Stand

DOCUMENTS = Path(__file__).parents[3] / "docs" / "openapi"
ROUNDS = int(os.environ.get("API_WALK_ROUNDS", "2"))
_UPSTREAM = ("/guard/v1/model/", "/guard/v1/otlp/")
"""Their 5xx are those of whoever is behind; they have tests of their own."""
_ENDS_IT = ("/api/v1/freeze", "/api/v1/freeze/declared", "/api/v1/apply")
_NAMES = ("", "co/fin", "agent:co/fin", "tenant", "anna", "co", "co/finance", "0")
_KNOWN = (*_NAMES, "x" * 300, "\u0000", "ü\ud83d", "../..")
_DEEP = 4


class Walker:
    """Draws values for JSON schemas; now and then something else."""

    def __init__(self, chance: random.Random, schemas: Mapping[str, Any]) -> None:
        self._chance = chance
        self._schemas = schemas

    def value(self, schema: Mapping[str, Any], depth: int = 0) -> object:
        """Something of this schema, or of none."""
        if self._chance.random() < 0.08:
            return self._chance.choice((None, -1, 2**63, 1e308, [], {}, "\u0000", "x" * 5000, True))
        if "$ref" in schema:
            return self.value(self._schemas[schema["$ref"].rsplit("/", 1)[1]], depth + 1)
        if options := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
            return self.value(self._chance.choice(options), depth)
        if "enum" in schema or "const" in schema:
            return self._chance.choice(schema.get("enum") or [schema["const"]])
        return self._typed(schema, depth)

    def _typed(self, schema: Mapping[str, Any], depth: int) -> object:
        chance = self._chance
        match schema.get("type"):
            case "object":
                return self._object(schema, depth)
            case "array":
                few = range(0 if depth > _DEEP else chance.randrange(3))
                return [self.value(schema.get("items", {}), depth + 1) for _ in few]
            case "integer":
                most = int(min(schema.get("maximum", 100), 10**6))
                return chance.randint(int(schema.get("minimum", 0)), most)
            case "number":
                return float(schema.get("minimum", 0))
            case "boolean":
                return chance.random() < 0.5
            case "null":
                return None
        if schema.get("format") == "date-time":
            return chance.choice(("2026-11-21T00:00:00Z", "0001-01-01T00:00:00Z", "yesterday"))
        return self.text()

    def _object(self, schema: Mapping[str, Any], depth: int) -> object:
        wanted, fields = set(schema.get("required", ())), schema.get("properties", {})
        more = [name for name in fields if depth < _DEEP and self._chance.random() < 0.5]
        names = [name for name in fields if name in wanted or name in more]
        return {name: self.value(fields[name], depth + 1) for name in names}

    def place(self, path: str, parameters: Sequence[Mapping[str, Any]]) -> tuple[str, dict[str, str]]:
        """The path and the query, filled; nothing waits."""
        query = {}
        for parameter in parameters:
            name, drawn = parameter["name"], str(self.value(parameter["schema"]))
            if parameter["in"] == "path":
                path = path.replace("{" + name + "}", _segment(drawn))
            elif name == "wait":
                query[name] = "0"
            elif parameter.get("required") or self._chance.random() < 0.5:
                query[name] = drawn
        return path, query

    def body(self, operation: Mapping[str, Any]) -> object:
        """A body, where there is one."""
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        body = self.value(content["schema"]) if content else None
        if isinstance(body, dict) and "waitSeconds" in body:
            body["waitSeconds"] = 0
        return body

    def text(self) -> str:
        """A word that may mean something."""
        letters = "".join(self._chance.choices(string.ascii_letters, k=8))
        return self._chance.choice((*_KNOWN, letters))


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Method, path and operation of all that is walked."""
    for path, methods in document["paths"].items():
        if not path.startswith(_UPSTREAM) and path not in _ENDS_IT:
            for method, operation in methods.items():
                yield method.upper(), path, operation


async def walk(peer: Peer, document: Mapping[str, Any], chance: random.Random) -> list[str]:
    """Every operation once; what answered with a 5xx."""
    walker, bad = Walker(chance, document["components"]["schemas"]), []
    for method, path, operation in operations(document):
        path, query = walker.place(path, operation.get("parameters", ()))
        body = walker.body(operation)
        headers = {"Authorization": f"Bearer {peer.token}"}
        sent = {"params": query, "json": body, "headers": headers}
        async with peer.http.request(method, peer.base + path, **sent) as reply:
            text = await reply.text()
        if reply.status >= 500:
            shown = json.dumps(body)[:500]
            bad.append(f"{method} {path} {query} {shown} -> {reply.status} {text[:300]}")
    return bad


def _segment(text: str) -> str:
    return "".join(c for c in text if c.isalnum() and c.isascii())[:50] or "x"


def _document(port: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((DOCUMENTS / f"{port}.json").read_text())
    return found


@pytest.mark.timeout(3600)
async def test_no_operation_answers_with_an_unexpected_5xx(stand: Stand) -> None:
    seed = os.environ.get("API_WALK_SEED", "1")
    chance, bad = random.Random(seed), []
    for _ in range(ROUNDS):
        for peer in (await stand.person(), await stand.person("anna")):
            bad += await walk(peer, _document("public"), chance)
        bad += await walk(await stand.agent(FIN), _document("guard"), chance)
    assert not bad, f"seed {seed}: " + "\n".join(bad)


async def test_what_no_text_can_hold_is_named(stand: Stand) -> None:
    anna = await stand.person("anna")
    for text in ("a\x00b", "half \ud83d"):
        reply = await anna.post("/api/v1/tasks", {"prompt": "x", "context": {"about": text}})
        assert (reply.status, "context.about" in str(reply["detail"])) == (400, True), reply.text
        reply = await anna.post("/api/v1/tasks", {"prompt": "x", "skills": ["ok", text]})
        assert (reply.status, "skills" in str(reply["detail"])) == (400, True), reply.text
        assert (await anna.post("/api/v1/tasks", {text: "x"})).status == 400
    for path in ("/api/v1/tasks?agent=a%00b", "/api/v1/tasks/a%00b"):
        assert (await anna.get(path)).status == 400
    whole = await anna.post("/api/v1/tasks/route", {"prompt": "\U0001f600", "agent": FIN})
    assert whole.status == 200
