"""Typed calls to the guard port, patient through restarts of the controller (docs/protocol.md)."""

import asyncio
import io
import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

import aiohttp
from pydantic import ValidationError

from cadre_api.protocol.base import Message
from cadre_api.protocol.guard import (
    ApprovalWait,
    BundleAck,
    BundleResponse,
    ClaimRequest,
    ClaimResponse,
    Completion,
    GuardEvents,
    GuardStatus,
    Heartbeat,
    HeartbeatResponse,
    IssueRequest,
    IssueResponse,
    RestoreRequest,
    RestoreResponse,
    ToolCallRequest,
    ToolCallResponse,
    ToolDecisionRequest,
)
from cadre_api.protocol.tasks import Evaluation
from cadre_guard.controller.identity import Identity
from cadre_guard.controller.problems import AWAY_ERRORS, AWAY_STATUSES, problem_of
from cadre_guard.controller.standstill import Standstill, is_frozen
from cadre_guard.errors import GuardError
from cadre_guard.jsonvalue import as_list, as_object, as_text, parse_object

_Answer = TypeVar("_Answer", bound=Message)
_CALL_SECONDS = 30.0
_POLL_MARGIN_SECONDS = 15.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 3.0
FOREVER = float("inf")
_NO_TRACE: Mapping[str, str] = MappingProxyType({})


class ControllerClient:
    """One guard's view of the controller. `patience` = seconds to go on trying while it is away."""

    def __init__(self, base_url: str, http: aiohttp.ClientSession, identity: Identity) -> None:
        self._base = base_url
        self._http = http
        self.identity = identity
        self.standstill = Standstill()

    async def next_bundle(self, after: int, wait_seconds: float) -> BundleResponse | None:
        """A newer bundle, or None when there is none within `wait_seconds`."""
        path = f"/guard/v1/bundle?after={after}&wait={wait_seconds:g}"
        body = await self._send(
            "GET", path, None, patience=FOREVER, limit=wait_seconds + _POLL_MARGIN_SECONDS
        )
        return _parse(BundleResponse, body) if body else None

    async def acknowledge(self, ack: BundleAck) -> None:
        """Say whether a bundle is in force."""
        await self._send("POST", "/guard/v1/bundle/ack", ack, patience=60)

    async def claim(self, capacity: int, wait_seconds: float) -> ClaimResponse:
        """Wait for work; never repeated by itself, because an answer lost on the way is a lease given out."""
        request = ClaimRequest(capacity=capacity, wait_seconds=wait_seconds)
        limit = wait_seconds + _POLL_MARGIN_SECONDS
        return _parse(
            ClaimResponse,
            await self._send("POST", "/guard/v1/claims", request, patience=0, limit=limit),
        )

    async def heartbeat(self, task_id: str, fence: int) -> HeartbeatResponse:
        """Keep a lease; raises LeaseLostError."""
        path = f"/guard/v1/leases/{task_id}/heartbeat"
        return _parse(
            HeartbeatResponse,
            await self._send("POST", path, Heartbeat(fence=fence), patience=0, limit=10),
        )

    async def complete(self, task_id: str, completion: Completion) -> None:
        """Hand in the result; raises LeaseLostError."""
        await self._send("POST", f"/guard/v1/leases/{task_id}/complete", completion, patience=600)

    async def fail(self, task_id: str, completion: Completion) -> None:
        """Give up this attempt; raises LeaseLostError."""
        await self._send("POST", f"/guard/v1/leases/{task_id}/fail", completion, patience=600)

    async def issue(self, request: IssueRequest, patience: float = 60) -> IssueResponse:
        """Tokens for values, in order."""
        return _parse(
            IssueResponse, await self._send("POST", "/guard/v1/pseudonyms/issue", request, patience=patience)
        )

    async def restore(self, request: RestoreRequest, patience: float = 60) -> RestoreResponse:
        """Values for tokens, as far as we may have them."""
        path = "/guard/v1/pseudonyms/restore"
        return _parse(RestoreResponse, await self._send("POST", path, request, patience=patience))

    async def decide(self, request: ToolDecisionRequest, trace: Mapping[str, str]) -> Evaluation:
        """Policy's word on a tool call; `trace` = headers that join the answer to the caller's span."""
        path = "/guard/v1/tools/decide"
        return _parse(Evaluation, await self._send("POST", path, request, patience=120, trace=trace))

    async def call_tool(
        self, request: ToolCallRequest, limit: float, trace: Mapping[str, str]
    ) -> ToolCallResponse:
        """Have the tool gateway run it; safe to repeat, because the gateway records each call once."""
        path = "/guard/v1/tools/call"
        body = await self._send("POST", path, request, patience=120, limit=limit, trace=trace)
        return _parse(ToolCallResponse, body)

    async def wait_approval(self, approval_id: str, wait_seconds: float) -> ApprovalWait:
        """The approval's state as soon as it is decided, or Pending after `wait_seconds`."""
        path = f"/guard/v1/approvals/{approval_id}?wait={wait_seconds:g}"
        limit = wait_seconds + _POLL_MARGIN_SECONDS
        return _parse(ApprovalWait, await self._send("GET", path, None, patience=120, limit=limit))

    async def send_events(self, events: GuardEvents) -> None:
        """Facts for the audit."""
        await self._send("POST", "/guard/v1/events", events, patience=5)

    async def report_status(self, status: GuardStatus) -> None:
        """How the agent is and what isolates it."""
        await self._send("POST", "/guard/v1/status", status, patience=5)

    async def open_model_call(
        self, api: str, body: bytes, headers: dict[str, str], idle_seconds: float
    ) -> aiohttp.ClientResponse:
        """Start a call of a model API, return at its headers; the caller reads, judges and closes."""
        bearer = await self.identity.bearer()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=idle_seconds)
        return await self._http.post(
            f"{self._base}/guard/v1/model/{api}",
            data=io.BytesIO(body),
            headers={**headers, "Authorization": bearer, "Content-Type": "application/json"},
            timeout=timeout,
        )

    async def model_apis(self) -> frozenset[str]:
        """The APIs that a model of this agent speaks natively."""
        answer = parse_object(await self._send("GET", "/guard/v1/models", None, patience=0, limit=10)) or {}
        models = [as_object(model) for model in as_list(answer.get("data"))]
        return frozenset(as_text(api) for model in models for api in as_list(model.get("apis")))

    async def export_spans(self, body: bytes) -> None:
        """OTLP/HTTP protobuf."""
        headers = {"Authorization": await self.identity.bearer(), "Content-Type": "application/x-protobuf"}
        async with self._http.post(
            f"{self._base}/guard/v1/otlp/v1/traces", data=body, headers=headers
        ) as response:
            await response.read()

    async def _send(
        self,
        method: str,
        path: str,
        message: Message | None,
        *,
        patience: float,
        limit: float = _CALL_SECONDS,
        trace: Mapping[str, str] = _NO_TRACE,
    ) -> bytes:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + patience
        pause = _FIRST_PAUSE
        while True:
            try:
                body = await self._send_once(method, path, message, limit, trace)
            except AWAY_ERRORS as error:
                problem = GuardError("ControllerUnreachable", f"{type(error).__name__} at the controller")
            except GuardError as error:
                if is_frozen(error):
                    await self.standstill.refused()
                    give_up = loop.time() + patience
                    continue
                if error.status not in AWAY_STATUSES:
                    raise
                problem = error
            else:
                self.standstill.answered()
                return body
            if loop.time() + pause > give_up:
                raise problem from None
            await asyncio.sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311 - spreads load, guards nothing
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _send_once(
        self, method: str, path: str, message: Message | None, limit: float, trace: Mapping[str, str]
    ) -> bytes:
        data = message.model_dump_json(by_alias=True).encode() if message is not None else None
        for last in (False, True):
            bearer = await self.identity.bearer()
            headers = {"Authorization": bearer, "Content-Type": "application/json", **trace}
            bound = aiohttp.ClientTimeout(total=limit, sock_connect=5)
            async with self._http.request(
                method, self._base + path, data=data, headers=headers, timeout=bound
            ) as got:
                body = await got.read()
                if got.status == 401 and not last:
                    self.identity.forget()
                    continue
                if got.status >= 400:
                    raise problem_of(got.status, body)
                return body
        raise AssertionError("unreachable")


def _parse(model: type[_Answer], body: bytes) -> _Answer:
    try:
        return model.model_validate_json(body)
    except ValidationError:
        raise GuardError("BadAnswer", f"the controller's {model.__name__} is not understood") from None
