"""Makes a prepared call: provider after provider until one answers, and exactly one bill whatever happens."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass

import aiohttp

from cadre_controller.errors import BudgetExceeded, CadreError, Denied
from cadre_controller.gateways.model.call import Finished, PreparedCall
from cadre_controller.gateways.model.credentials import Credentials
from cadre_controller.gateways.model.faults import ModelFault, error_event
from cadre_controller.gateways.model.health import ProviderHealth
from cadre_controller.gateways.model.ledger import Bill, Ledger
from cadre_controller.gateways.model.reading import TokenUsage
from cadre_controller.gateways.model.relay import BLANK_LINE, KEEPALIVE, QuietSink, Sink, relay
from cadre_controller.gateways.model.select import LOCAL, Candidate
from cadre_controller.gateways.model.upstream import open_model
from cadre_controller.gateways.model.watch import StreamWatch, check_whole
from cadre_controller.ports import Clock
from cadre_controller.refusals import UpstreamBusy
from cadre_controller.telemetry import Tracing

_TRIES = 3
_MAX_WHOLE_BYTES = 16 * 1024 * 1024
_CHARS_PER_TOKEN = 4

Attempt = Callable[[Candidate, str, Bill], Awaitable[TokenUsage]]


@dataclass(frozen=True, slots=True)
class ForwardTimes:
    """Seconds: how often to speak while the provider is silent, and the first pause between tries."""

    keepalive: float = 5.0
    backoff: float = 0.5


class Forwarder:
    """Talks to providers."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        credentials: Credentials,
        health: ProviderHealth,
        ledger: Ledger,
        clock: Clock,
        tracing: Tracing,
        times: ForwardTimes,
    ) -> None:
        self._http = http
        self._credentials = credentials
        self._health = health
        self._ledger = ledger
        self._clock = clock
        self._tracing = tracing
        self._times = times

    async def whole(self, call: PreparedCall) -> bytes:
        """A whole answer; raises UpstreamBusy and other refusals."""
        answer = b""

        async def attempt(option: Candidate, credential: str, _: Bill) -> TokenUsage:
            nonlocal answer
            body = call.request.for_model(option.model)
            async with open_model(self._http, option, call.request.api, body, credential) as response:
                answer = await _bounded(response)
            usage = check_whole(answer, call.request.api)
            return usage or self._estimate(call, len(answer))

        try:
            await self._serve(call, attempt, final=lambda: False)
        except ModelFault as fault:
            raise _busy(fault) from fault
        return answer

    async def stream(self, call: PreparedCall, sink: Sink) -> None:
        """Stream to `sink`; a failure becomes the stream's last event. Raises ConnectionError when the
        guard left.
        """
        api = call.request.api
        quiet = QuietSink(sink, self._times.keepalive, BLANK_LINE if api.lines else KEEPALIVE)

        async def attempt(option: Candidate, credential: str, bill: Bill) -> TokenUsage:
            watch = StreamWatch(api)
            body = call.request.for_model(option.model)
            try:
                async with open_model(self._http, option, call.request.api, body, credential) as response:
                    await relay(response.content.iter_any(), watch, quiet)
            finally:
                if watch.started:
                    bill.partial = self._counted(call, watch)
            return self._counted(call, watch)

        async def serve() -> None:
            try:
                await self._serve(call, attempt, final=lambda: quiet.wrote)
            except ModelFault as fault:
                await quiet.write(error_event(fault, lines=api.lines))
            except CadreError as error:
                refused = ModelFault(error.reason, error.message, retryable=False)
                await quiet.write(error_event(refused, lines=api.lines))

        await _first_of(serve(), quiet.keep_alive())

    async def _serve(
        self,
        call: PreparedCall,
        attempt: Attempt,
        final: Callable[[], bool],
    ) -> None:
        """Try the options in order; `final` says that bytes went out and nothing may be tried again."""
        fault: ModelFault | CadreError = ModelFault("ModelUnavailable", "no model is usable now")
        only_local = False
        for option in call.options:
            if only_local and option.locality != LOCAL:
                continue
            try:
                await self._one_option(call, option, attempt, final)
                return
            except BudgetExceeded as error:
                if error.on_exceeded == "Stop":
                    raise
                only_local, fault = only_local or error.on_exceeded == "LocalOnly", error
            except CadreError as error:
                fault = error
            except ModelFault as error:
                if final():
                    raise
                fault = error
        raise fault

    async def _one_option(
        self,
        call: PreparedCall,
        option: Candidate,
        attempt: Attempt,
        final: Callable[[], bool],
    ) -> None:
        wait = self._health.usable_in(
            option.provider.key, option.provider.requests_per_minute, self._clock.monotonic()
        )
        if wait > 0:
            raise ModelFault("ModelUnavailable", f"{option.name} is not asked now", retry_after=wait)
        credential = self._credential(option)
        async with self._ledger.reserved(call, option) as bill:
            with self._tracing.model_call(call, option):
                started = self._clock.monotonic()
                usage = await self._with_retries(option, lambda: attempt(option, credential, bill), final)
                latency = (self._clock.monotonic() - started) * 1000
            cost = option.cost(usage.input_tokens, usage.output_tokens)
            bill.finished = Finished(option, usage, cost, latency, "ok")

    def _credential(self, option: Candidate) -> str:
        """Raises ModelFault(CredentialMissing): a new Secret is mounted late, so it may come yet."""
        provider = option.provider
        try:
            return self._credentials.resolve(provider.credential, f"provider {provider.key}")
        except Denied as missing:
            told = f"{missing.message}: {missing.fix}"
            raise ModelFault(missing.reason, told, fix=missing.fix) from missing

    async def _with_retries(
        self, option: Candidate, attempt: Callable[[], Awaitable[TokenUsage]], final: Callable[[], bool]
    ) -> TokenUsage:
        provider = option.provider
        for tried in range(1, _TRIES + 1):
            self._health.take(provider.key, provider.requests_per_minute, self._clock.monotonic())
            try:
                usage = await attempt()
                self._health.succeeded(provider.key)
                return usage
            except ModelFault as fault:
                self._health.failed(provider.key, self._clock.monotonic())
                if final() or not fault.retryable or tried == _TRIES:
                    raise
                await asyncio.sleep(self._pause(tried, fault.retry_after))
        raise AssertionError("unreachable: the last try raises")

    def _pause(self, tried: int, retry_after: float) -> float:
        jitter: float = random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, guards nothing
        return max(retry_after, self._times.backoff * jitter * float(2 ** (tried - 1)))

    def _counted(self, call: PreparedCall, watch: StreamWatch) -> TokenUsage:
        return watch.usage or self._estimate(call, watch.output_chars)

    @staticmethod
    def _estimate(call: PreparedCall, output_chars: int) -> TokenUsage:
        return TokenUsage(call.request.input_tokens(), output_chars // _CHARS_PER_TOKEN + 1)


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MAX_WHOLE_BYTES:
            raise ModelFault("ModelGarbage", "the model's answer is larger than 16 MiB")
    return bytes(body)


def _busy(fault: ModelFault) -> UpstreamBusy:
    fix = fault.fix or "look at `cadre status` for the provider, or add another model to the profile"
    return UpstreamBusy(fault.reason, fault.message, fix, max(1.0, fault.retry_after))


async def _first_of(*works: Coroutine[object, object, None]) -> None:
    """Run side by side until one ends, then end the others; raises what the first one raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
