"""The operator's side of the controller: sends a tenant's chart, hears whether it works with it.

Without a controller agents are made all the same; they hold their turns until it is there.
"""

import json
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiohttp

from cadre_api.protocol.freeze import DeclaredFreezes
from cadre_api.v1alpha1 import Resource
from cadre_operator.keys import Key
from cadre_operator.kube.fields import Json, items, number, text

_PER_DOCUMENT = 200


class ControllerError(Exception):
    """The controller did not answer, or not in a way that we understand; it is asked again."""

    reason = "ControllerUnreachable"


class ChartRejectedError(Exception):
    """The controller will not work with this chart; asking again changes nothing."""

    reason = "Rejected"


@dataclass(frozen=True, slots=True)
class ChartPush:
    """One tenant's chart as it is to be in force."""

    tenant: str
    revision: str
    models: Mapping[Key, Resource]
    """Without the agents that wait for consent, and the workflows that need one of them."""
    held: Mapping[Key, Resource]
    """Agents whose rights nobody agreed to yet."""
    consented: Mapping[Key, str]
    """Rights hash that each held agent serves with meanwhile; empty = none."""


@dataclass(frozen=True, slots=True)
class AgentNow:
    """What the controller knows of an agent."""

    tasks: int
    """Queued and running."""
    frozen: str = ""
    """Why it is frozen; empty = it is not."""


class Controller(Protocol):
    """A controller that charts can be sent to."""

    async def push(self, chart: ChartPush) -> None:
        """Have a chart in force. Raises ControllerError or ChartRejectedError."""
        ...

    async def demand(self, tenant: str) -> Mapping[str, AgentNow]:
        """Return how each agent stands. Raises ControllerError."""
        ...

    async def declare(self, tenant: str, freezes: DeclaredFreezes) -> None:
        """Say all that a tenant's objects want frozen. Raises ControllerError or ChartRejectedError."""
        ...


class HttpController:
    """A controller's HTTP API, with the token of our own ServiceAccount."""

    def __init__(
        self, url: str, token_file: Path | None = None, ca_file: Path | None = None, timeout: float = 20.0
    ) -> None:
        self._url = url
        self._token_file = token_file
        self.context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self.context), timeout=aiohttp.ClientTimeout(total=timeout)
        )

    async def push(self, chart: ChartPush) -> None:
        """Have a chart in force. Raises ControllerError or ChartRejectedError."""
        body: Json = {"documents": documents(chart.models), "held": _held(chart), "freezesApart": True}
        answer = await self._request("POST", "/api/v1/apply", chart.tenant, body)
        told = text(answer, "revision")
        if told and told != chart.revision and not chart.held:
            raise ControllerError("the controller compiled another revision of the chart")

    async def declare(self, tenant: str, freezes: DeclaredFreezes) -> None:
        """Say all that a tenant's objects want frozen. Raises ControllerError or ChartRejectedError."""
        body = freezes.model_dump(mode="json", by_alias=True)
        await self._request("POST", "/api/v1/freeze/declared", tenant, body)

    async def demand(self, tenant: str) -> Mapping[str, AgentNow]:
        """Return how each agent stands. Raises ControllerError."""
        try:
            answer = await self._request("GET", "/api/v1/agents", tenant, None)
        except ChartRejectedError as error:  # of a tenant that never had a chart in force
            raise ControllerError(str(error)) from error
        return {text(agent, "key"): _now(agent) for agent in items(answer, "items")}

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _request(self, method: str, path: str, tenant: str, body: Json | None) -> Json:
        headers = {"Cadre-Tenant": tenant}
        if self._token_file is not None:
            headers["Authorization"] = f"Bearer {self._token_file.read_text().strip()}"
        try:
            async with self._session.request(method, self._url + path, json=body, headers=headers) as reply:
                content = await reply.read()
                return _answer(reply.status, content)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ControllerError(f"{type(error).__name__}: {error}") from error


def _now(agent: Mapping[str, object]) -> AgentNow:
    """How an agent stands; one that was never seen has no `live`, but work may wait for it: `queued`."""
    queued = max(number(agent, "queued"), number(agent, "live", "queued"))
    return AgentNow(queued + number(agent, "live", "running"), text(agent, "frozen"))


def _answer(status: int, content: bytes) -> Json:
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    body: Json = found if isinstance(found, dict) else {}
    if status in (400, 413, 422):
        problems = "; ".join(text(p, "message") for p in items(body, "problems")[:5])
        raise ChartRejectedError(problems or text(body, "detail") or f"HTTP {status}")
    if not 200 <= status < 300 or found is None:
        raise ControllerError(f"HTTP {status} {text(body, 'reason')}".strip())
    return body


def documents(models: Mapping[Key, Resource]) -> list[Json]:
    """Write a chart as files; several objects to a file, as the number of files is bounded."""
    written = [_written(models[key]) for key in sorted(models)]
    chunks = [written[i : i + _PER_DOCUMENT] for i in range(0, len(written), _PER_DOCUMENT)]
    return [{"file": f"chart-{i}.yaml", "text": _joined(chunk)} for i, chunk in enumerate(chunks)]


def _joined(objects: Iterable[str]) -> str:
    return "\n---\n".join(objects) + "\n"


def _written(model: Resource) -> str:
    content = model.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"status"})
    return json.dumps(content, ensure_ascii=False)


def _held(chart: ChartPush) -> list[Json]:
    return [
        {"agent": key.path, "consentedRights": chart.consented.get(key, ""), "document": _written(model)}
        for key, model in sorted(chart.held.items())
    ]
