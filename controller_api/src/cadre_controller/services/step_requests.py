"""HTTP requests of workflows: begun with their step, claimed before they are sent, recorded once.

What is sent waits here sealed, with credentials by reference only, and is gone as soon as it has ended.
"""

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from cadre_api.protocol.freeze import FreezeScope
from cadre_api.units import parse_duration
from cadre_api.v1alpha1 import HttpRequest
from cadre_controller.errors import CadreError
from cadre_controller.ports import Masker
from cadre_controller.services.chart import ChartService
from cadre_controller.services.freezer import Freezer
from cadre_controller.services.kernel import Facts, Kernel, dump, system_actor
from cadre_controller.services.masking import storable
from cadre_controller.store.pool import Row
from cadre_controller.store.work import RowMissing, Statement, Work
from cadre_core.workflow import Definition, Record, Start, StepState
from cadre_core.workflow.expressions import ExpressionError, bounded
from cadre_core.workflow.request import is_good, is_repeatable, is_worth_another, pause_after

CHANNEL = "requests"
_MARGIN = timedelta(seconds=30)
"""Beyond the longest attempt: time to record it, and the difference of two controllers' clocks."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One attempt, claimed by this process."""

    id: str
    method: str
    url: str
    hosts: frozenset[str]
    headers: Mapping[str, str]
    secrets: Mapping[str, Mapping[str, str]]
    """Header -> name, key and scheme of the credential in it."""
    body: str | None
    timeout: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service said."""

    status: int
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)
    retry_after: float | None = None
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why there is no answer."""

    reason: str
    message: str
    is_sent: bool = False
    """It may have been carried out."""
    is_final: bool = False
    """Another attempt would end so too."""


@dataclass(frozen=True, slots=True)
class _End:
    outcome: StepState
    reason: str = ""
    message: str = ""
    result: object = None


class StepRequests:
    """Begin, show and stop a request; what is due, and how an attempt ended."""

    def __init__(self, kernel: Kernel, chart: ChartService, masker: Masker, freezer: Freezer) -> None:
        self._kernel = kernel
        self._chart = chart
        self._masker = masker
        self._freezer = freezer

    def opening(
        self, row: Row, definition: Definition, start: Start, http: HttpRequest, key: str
    ) -> tuple[str, Statement]:
        """Id of the request that this key stands for, and what begins it."""
        tenant = row["tenant"]
        request_id = f"req_{hashlib.sha256(_context(tenant, key).encode()).hexdigest()[:26]}"
        secrets = {
            h.name: {"secret": h.secret.name, "key": h.secret.key, "scheme": h.scheme or ""}
            for h in http.headers
            if h.secret is not None
        }
        asked = {
            **start.values, "method": http.method.value, "secrets": secrets,
            "hosts": list(definition.spec.hosts), "timeout": parse_duration(http.timeout).total_seconds(),
        }  # fmt: skip
        sealed = self._kernel.keystore.tenant(tenant).seal(
            json.dumps(asked).encode(), _context(tenant, request_id)
        )
        values = (
            tenant, request_id, row["id"], row["session_id"], sealed, is_repeatable(http), http.attempts,
            self._kernel.clock.now(),
        )  # fmt: skip
        return request_id, Statement("request_insert", values, expect_row=False)

    async def look(self, tenant: str, record: Record, request_id: str) -> Record | None:
        """How a request ended; None while it goes on."""
        row = await self._kernel.db.fetch_one(tenant, "request_get", tenant, request_id)
        if row is None or row["state"] != "Ended":
            return None
        return replace(
            record,
            state=StepState(row["outcome"]),
            result=row["result"],
            reason=row["reason"],
            message=row["message"],
        )

    async def stop(self, tenant: str, request_id: str) -> None:
        """Send it not, or not again; what is being sent ends by itself."""
        statement = Statement(
            "request_stop", (tenant, request_id, self._kernel.clock.now()), expect_row=False
        )
        await self._kernel.submit(Work(tenant, (statement,), notify=(_channel(tenant, request_id),)))

    async def due(self) -> Sequence[Row]:
        """What is to be sent now; nothing of a tenant that is frozen as a whole."""
        tenants = [tenant for tenant in self._chart.tenants() if not self._is_frozen(tenant)]
        return await self._kernel.db.fetch(tenants, "requests_due", self._kernel.clock.now())

    async def claim(self, row: Row) -> Asked | None:
        """Say that this process sends it now. None when another does, or when it ended instead."""
        cut = row["state"] == "Sending"
        if cut and not row["repeatable"]:
            message = "it was cut after it may have been sent; look there before you repeat the step"
            await self._end(row, _End(StepState.FAILED, "OutcomeUnknown", message))
            return None
        if cut and (row["stopped"] or row["attempts"] >= row["most"]):
            await self._end(row, _End(StepState.FAILED, "NoAnswer", "every attempt was cut"))
            return None
        asked = self._asked(row)
        until = self._kernel.clock.now() + timedelta(seconds=asked.timeout) + _MARGIN
        claim = Statement("request_claim", (row["tenant"], row["id"], row["attempts"], until))
        try:
            await self._kernel.submit(Work(row["tenant"], (claim,)))
        except RowMissing:
            return None
        return asked

    async def finish(self, row: Row, asked: Asked, answer: Answer | Fault) -> None:
        """Record how the attempt that `row` was claimed for ended, or when the next one is due."""
        row = {**row, "attempts": row["attempts"] + 1}
        if self._again(row, answer) and await self._put_off(row, answer):
            return
        ended = await self._judged(row, answer)
        await self._end(row, ended, asked, answer.status if isinstance(answer, Answer) else 0)

    def _again(self, row: Mapping[str, object], answer: Answer | Fault) -> bool:
        if int(str(row["attempts"])) >= int(str(row["most"])):
            return False
        if isinstance(answer, Answer):
            return is_worth_another(answer.status, repeatable=bool(row["repeatable"]))
        return not answer.is_final and (bool(row["repeatable"]) or not answer.is_sent)

    async def _put_off(self, row: Row, answer: Answer | Fault) -> bool:
        """Whether there is a next attempt; there is none once the run was stopped."""
        wanted = answer.retry_after if isinstance(answer, Answer) else None
        pause = pause_after(row["attempts"], wanted, random.random())  # noqa: S311 - jitter
        ended = _failed(answer)
        values = (
            row["tenant"], row["id"], row["attempts"], self._kernel.clock.now() + timedelta(seconds=pause),
            ended.reason, ended.message,
        )  # fmt: skip
        try:
            await self._kernel.submit(Work(row["tenant"], (Statement("request_again", values),)))
        except RowMissing:
            return False
        return True

    async def _judged(self, row: Row, answer: Answer | Fault) -> _End:
        if not isinstance(answer, Answer) or not is_good(answer.status):
            unknown = isinstance(answer, Fault) and answer.is_sent and not answer.is_final
            if unknown and not row["repeatable"]:
                return _End(StepState.FAILED, "OutcomeUnknown", f"{_failed(answer).message}; look there")
            return _failed(answer)
        tenant = row["tenant"]
        found = {"status": answer.status, "body": _parsed(answer)}
        try:
            rules = storable(self._chart.guard_rules(tenant, ""))
            bounded(found)
            masked = await self._masker.mask_json(tenant, row["session_id"], found, rules)
            return _End(StepState.SUCCEEDED, result=bounded(masked.value))
        except ExpressionError as error:
            return _End(StepState.FAILED, "AnswerTooLarge", f"it was carried out, but {error}")
        except CadreError as error:
            return _End(StepState.FAILED, error.reason, f"it was carried out, but {error.message}")

    async def _end(self, row: Row, end: _End, asked: Asked | None = None, status: int = 0) -> None:
        tenant, now = row["tenant"], self._kernel.clock.now()
        values = (
            tenant, row["id"], row["attempts"], end.outcome.value, dump(end.result), end.reason[:100],
            end.message[:500], now,
        )  # fmt: skip
        data = {"request": row["id"], "attempts": row["attempts"], "reason": end.reason, "status": status}
        if asked is not None:
            data |= {"method": asked.method, "host": asked.url.split("/")[2]}
        target = f"execution:{row['execution_id']}"
        result = "ok" if end.outcome is StepState.SUCCEEDED else "failed"
        actor = system_actor(tenant, "workflows")
        entry = self._kernel.audit(actor, "workflow.request", target, result, Facts(data))
        channels = (_channel(tenant, row["id"]),)
        work = Work(tenant, (Statement("request_end", values),), audit=(entry,), notify=channels)
        try:
            await self._kernel.submit(work)
        except RowMissing:
            return

    def _asked(self, row: Row) -> Asked:
        keys = self._kernel.keystore.tenant(row["tenant"])
        found = json.loads(keys.unseal(row["sealed"], _context(row["tenant"], row["id"])))
        return Asked(
            row["id"],
            found["method"],
            found["url"],
            frozenset(found["hosts"]),
            found["headers"],
            found["secrets"],
            found.get("body"),
            found["timeout"],
        )

    def _is_frozen(self, tenant: str) -> bool:
        return any(freeze.scope is FreezeScope.TENANT for freeze in self._freezer.of(tenant))


def _failed(answer: Answer | Fault) -> _End:
    if isinstance(answer, Answer):
        return _End(StepState.FAILED, "HttpStatus", f"the service answered with status {answer.status}")
    return _End(StepState.FAILED, answer.reason, answer.message)


def _parsed(answer: Answer) -> object:
    """A body as JSON where it says that it is, else as text."""
    text = answer.body.decode(errors="replace")
    kind = answer.content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        try:
            found: object = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return found
    return text


def _channel(tenant: str, request_id: str) -> str:
    return f"request:{tenant}:{request_id}"


def _context(tenant: str, request_id: str) -> str:
    return f"request\x00{tenant}\x00{request_id}"
