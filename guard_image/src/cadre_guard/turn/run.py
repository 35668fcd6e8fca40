"""One lease from prompt to verdict on a live agent."""

import asyncio
import contextlib
import logging
from datetime import UTC, datetime

from cadre_api.protocol.guard import AgentBundle, Completion, Lease
from cadre_guard.acp.client import settle_cancelled
from cadre_guard.controller.client import ControllerClient
from cadre_guard.errors import GuardError, LeaseLostError
from cadre_guard.events import EventLog
from cadre_guard.masking.masker import Masker
from cadre_guard.masking.pairs import SessionPairs
from cadre_guard.telemetry import Telemetry
from cadre_guard.turn.frozen import stop_clocks
from cadre_guard.turn.host import AgentHost
from cadre_guard.turn.lease import keep_lease
from cadre_guard.turn.prompt import masked_texts, prompt_text, system_text
from cadre_guard.turn.record import Verdict, judge
from cadre_guard.turn.tools import ToolGate
from cadre_guard.turn.turn import Turn

log = logging.getLogger(__name__)

_LATE_SECONDS = 60.0
"""Only a net below the turn's own deadline."""
_RESULT_LIMIT = 1_000_000
_MESSAGE_LIMIT = 2000


class TurnRunner:
    """Runs leases of one agent."""

    def __init__(
        self,
        controller: ControllerClient,
        masker: Masker,
        gate: ToolGate,
        events: EventLog,
        telemetry: Telemetry,
    ) -> None:
        self._controller = controller
        self._masker = masker
        self._gate = gate
        self._events = events
        self._telemetry = telemetry

    def open(self, lease: Lease, bundle: AgentBundle) -> Turn:
        """The turn of a lease, its clock running."""
        left = (lease.deadline_at - datetime.now(UTC)).total_seconds()
        pairs = SessionPairs(lease.session_id, frozenset(bundle.clearance))
        now = asyncio.get_running_loop().time()
        return Turn(lease, bundle, pairs, deadline=now + bundle.turn_timeout_seconds, latest=now + left)

    async def hand_back(self, lease: Lease, why: GuardError) -> None:
        """Give up a lease that was never begun."""
        completion = Completion(fence=lease.fence, reason=why.reason, message=why.message, retryable=True)
        with contextlib.suppress(GuardError):
            await self._controller.fail(lease.task_id, completion)

    async def run(self, turn: Turn, host: AgentHost) -> bool:
        """Run and report; False when the agent must be restarted before anything else."""
        beat = asyncio.create_task(keep_lease(self._controller, turn))
        clocks = asyncio.create_task(stop_clocks(self._controller.standstill, turn))
        try:
            with self._telemetry.turn(turn):
                verdict, healthy = await self._verdict(turn, host)
                await self._report(turn, verdict)
            return healthy
        finally:
            for task in (beat, clocks):
                task.cancel()
            await asyncio.gather(beat, clocks, return_exceptions=True)
            host.turns.remove(turn)
            self._gate.forget(turn)

    async def _verdict(self, turn: Turn, host: AgentHost) -> tuple[Verdict, bool]:
        prompt: asyncio.Task[str] | None = None
        healthy = True
        try:
            fetched = await self._masker.fetch_values(turn.pairs, masked_texts(turn.lease))
            if fetched:
                self._events.add("guard.restore", turn, count=fetched)
            prompt = asyncio.create_task(self._prompt(turn, host))
            await _until_ended(turn, prompt)
            if not prompt.done():
                healthy = await self._cancel(turn, host, prompt)
            else:
                prompt.result()
            failure = turn.failure
        except GuardError as error:
            failure = turn.failure or error
            healthy = error.reason not in ("AgentCrashed", "AgentStuck")
        if failure is not None:
            return _failed(failure), healthy
        with contextlib.suppress(GuardError):
            await host.client.forget(turn.agent_session)
        return judge(turn.record), healthy

    async def _prompt(self, turn: Turn, host: AgentHost) -> str:
        is_goose = not turn.bundle.runtime_command
        session = await host.client.new_session(host.cwd, host.gateway, tells_extensions=is_goose)
        host.turns.add(session, turn)
        text = self._masker.restore_text(turn.pairs, prompt_text(turn.lease))
        if is_goose:
            await host.client.append_system_prompt(session, system_text(turn.bundle))
        else:  # ACP itself knows no system prompt
            text = f"{system_text(turn.bundle)}\n\n{text}"
        try:
            return await host.client.prompt(session, text, turn.latest - _loop_time() + _LATE_SECONDS)
        except GuardError as error:
            if error.reason == "AgentRefused" and turn.record.last is not None:
                return "error"  # the agent's way to report a failed model call: our record says what it was
            raise

    async def _cancel(self, turn: Turn, host: AgentHost, prompt: "asyncio.Task[str]") -> bool:
        """In goose's order: cancel, open permissions and streams (they watch `stopping`), then its answer."""
        if not turn.agent_session:
            prompt.cancel()
        else:
            await host.client.cancel(turn.agent_session)
        healthy = await settle_cancelled(prompt)
        if not healthy:
            prompt.cancel()
        await asyncio.gather(prompt, return_exceptions=True)
        return healthy and host.alive

    async def _report(self, turn: Turn, verdict: Verdict) -> None:
        lease = turn.lease
        try:
            if isinstance(turn.failure, LeaseLostError):
                return
            verdict, completion = await self._completion(turn, verdict)
            if verdict.ok:
                await self._controller.complete(lease.task_id, completion)
            else:
                await self._controller.fail(lease.task_id, completion)
        except LeaseLostError:
            log.info("lease lost before the result was in", extra={"task": lease.task_id})
        except GuardError as error:
            log.error("result not delivered", extra={"task": lease.task_id, "reason": error.reason})

    async def _completion(self, turn: Turn, verdict: Verdict) -> tuple[Verdict, Completion]:
        try:
            result = await self._masker.mask_text(turn.pairs, verdict.text)
            message = await self._masker.mask_text(turn.pairs, verdict.message[:_MESSAGE_LIMIT])
        except GuardError as error:
            failed = _failed(error)
            return failed, _as_completion(turn, failed, "", error.message)
        return verdict, _as_completion(turn, verdict, str(result.document), str(message.document))


async def _until_ended(turn: Turn, prompt: "asyncio.Task[str]") -> None:
    """Until the prompt returns or the turn is stopped; a turn past its deadline stops."""
    stopped = asyncio.create_task(turn.stopping.wait())
    try:
        while not prompt.done() and not stopped.done() and (left := turn.remaining()) > 0:
            await asyncio.wait({prompt, stopped}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if not prompt.done():
            turn.stop(GuardError("TurnTimeout", "the turn took longer than it may"))
    finally:
        stopped.cancel()


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def _as_completion(turn: Turn, verdict: Verdict, result: str, message: str) -> Completion:
    return Completion(
        fence=turn.lease.fence,
        result=result[:_RESULT_LIMIT] if verdict.ok else "",
        reason=verdict.reason,
        message=message,
        retryable=verdict.retryable,
    )


def _failed(error: GuardError) -> Verdict:
    return Verdict(False, reason=error.reason, message=error.message, retryable=error.retryable)
