"""One bill for each time that a call is sent: room is reserved before, settled once after, released when
nothing was used.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cadre_controller.gateways.model.call import Finished, PreparedCall
from cadre_controller.gateways.model.faults import ModelFault
from cadre_controller.gateways.model.reading import TokenUsage
from cadre_controller.gateways.model.select import Candidate
from cadre_controller.metrics import Metrics
from cadre_controller.services.budgets import BudgetService
from cadre_controller.services.models import CallOutcome, Reservation
from cadre_controller.services.tasks import TaskService


@dataclass(slots=True)
class Bill:
    """Filled by whoever makes the call; what stays empty is released."""

    finished: Finished | None = None
    partial: TokenUsage | None = None
    """What a failing attempt used; billed all the same."""


class Ledger:
    """Money and the task's story."""

    def __init__(self, budgets: BudgetService, tasks: TaskService, metrics: Metrics) -> None:
        self._budgets = budgets
        self._tasks = tasks
        self._metrics = metrics

    @asynccontextmanager
    async def reserved(self, call: PreparedCall, option: Candidate) -> AsyncIterator[Bill]:
        """Hold room for the call; raises BudgetExceeded. Settles or releases at the end, also on
        cancellation.
        """
        reservation = await self._budgets.reserve(call.priced(option, call.held.trace_id))
        bill = Bill()
        try:
            yield bill
        except BaseException as error:
            await self._close_failed(call, option, reservation, bill, error)
            raise
        if bill.finished is not None:
            await self._settle(call, reservation, bill.finished)

    async def _close_failed(
        self,
        call: PreparedCall,
        option: Candidate,
        reservation: Reservation,
        bill: Bill,
        error: BaseException,
    ) -> None:
        reason = _reason(error)
        self._metrics.model_calls.labels(option.provider.key, reason).inc()
        if bill.partial is None:
            await self._budgets.release(reservation, reason)
            return
        cost = option.cost(bill.partial.input_tokens, bill.partial.output_tokens)
        await self._settle(call, reservation, Finished(option, bill.partial, cost, 0.0, reason))

    async def _settle(self, call: PreparedCall, reservation: Reservation, finished: Finished) -> None:
        option, usage = finished.option, finished.usage
        self._count(finished)
        outcome = CallOutcome(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost=finished.cost,
            currency=option.currency,
            latency_ms=finished.latency_ms,
            result=finished.result,
        )
        await self._budgets.settle(reservation, outcome)
        await self._tasks.add_event(
            call.held.tenant,
            call.held.id,
            "ModelCalled",
            option.name,
            {
                "provider": option.provider.key,
                "model": option.model,
                "locality": option.locality,
                "purpose": call.headers.purpose,
                "inputTokens": usage.input_tokens,
                "outputTokens": usage.output_tokens,
                "cost": str(finished.cost),
                "currency": option.currency,
                "result": finished.result,
            },
            finished.latency_ms,
        )

    def _count(self, finished: Finished) -> None:
        provider, usage = finished.option.provider.key, finished.usage
        if finished.result == "ok":
            self._metrics.model_calls.labels(provider, "ok").inc()
            self._metrics.model_seconds.labels(provider).observe(finished.latency_ms / 1000)
        self._metrics.model_tokens.labels(provider, "input").inc(usage.input_tokens)
        self._metrics.model_tokens.labels(provider, "output").inc(usage.output_tokens)


def _reason(error: BaseException) -> str:
    if isinstance(error, ModelFault):
        return error.reason
    gone = isinstance(error, ConnectionError | asyncio.CancelledError)
    return "GuardGone" if gone else type(error).__name__
