"""Wiring: one analyzer for the guards of one machine."""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Coroutine

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

from cadre_detect import DetectionError, SpanCache
from cadre_guard.analysis.pool import AnalysisPool
from cadre_guard.analysis.server.app import Analyzer
from cadre_guard.analysis.server.authority import Authority
from cadre_guard.analysis.server.probes import Probes
from cadre_guard.analysis.server.settings import AnalyzerSettings, read_analyzer_settings
from cadre_guard.analysis.server.tenants import Tenants
from cadre_guard.controller.trust import (
    follow_authorities,
    follow_certificate,
    server_context,
    trust_context,
)
from cadre_guard.errors import ConfigurationError
from cadre_guard.health import serving
from cadre_guard.logs import configure_logging
from cadre_guard.memory import settle_memory, use_few_arenas
from cadre_guard.sandbox.kernel import hide_from_ptrace

log = logging.getLogger(__name__)

_CONFIGURATIONS = 8
"""How many each worker keeps ready; another costs a guard's next request a second."""
_DRAIN_SECONDS = 20.0


def main() -> int:
    """`python -m cadre_guard analyzer`; 2 = cannot start like this, with one line that says why."""
    try:
        settings = read_analyzer_settings(os.environ)
        configure_logging(settings.log_level)
        use_few_arenas()
        if sys.platform == "linux":
            hide_from_ptrace()  # it reads texts of many agents
        asyncio.run(_serve(settings))
    except (ConfigurationError, DetectionError, OSError, ssl.SSLError) as error:
        print(f"cadre_guard analyzer: {error}", file=sys.stderr)  # noqa: T201 - the one clear line
        return 2
    return 0


async def _serve(settings: AnalyzerSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(_client(settings, stack))
        pool = AnalysisPool(
            SpanCache(secrets.token_bytes(32)), settings.workers, configurations=_CONFIGURATIONS
        )
        stack.callback(pool.close)
        analyzer = Analyzer(Authority(settings.controller, http), pool, Tenants(settings.workers))
        probes = Probes(analyzer)
        await stack.enter_async_context(serving(probes.app(), settings.probes))
        _background(stack, analyzer.authority.follow())
        await pool.start()
        settle_memory()
        await stack.enter_async_context(_listening(settings, analyzer))
        probes.listening = True
        log.info("listening", extra={"port": settings.listen[1]})
        await stop.wait()
        probes.listening = False


def _client(settings: AnalyzerSettings, stack: contextlib.AsyncExitStack) -> aiohttp.ClientSession:
    trust = trust_context(settings.ca_file)
    if settings.ca_file is not None and not isinstance(trust, bool):
        _background(stack, follow_authorities(settings.ca_file, trust))
    resolver = _Pinned(settings.controller_address) if settings.controller_address else None
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=4, ssl=trust, resolver=resolver))


@contextlib.asynccontextmanager
async def _listening(settings: AnalyzerSettings, analyzer: Analyzer) -> AsyncIterator[None]:
    context = server_context(settings.certificate, settings.key)
    runner = web.AppRunner(
        analyzer.app(), access_log=None, shutdown_timeout=_DRAIN_SECONDS, auto_decompress=False
    )
    await runner.setup()
    following = asyncio.create_task(follow_certificate(settings.certificate, settings.key, context))
    try:
        await web.TCPSite(runner, *settings.listen, ssl_context=context).start()
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await runner.cleanup()


def _background(stack: contextlib.AsyncExitStack, work: Coroutine[None, None, None]) -> None:
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)


class _Pinned(AbstractResolver):
    """The controller's name leads to one address: a process that reads everything asks no DNS."""

    def __init__(self, address: str) -> None:
        self._address = address

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        kind = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        return [
            ResolveResult(
                hostname=host,
                host=self._address,
                port=port,
                family=kind,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    @override
    async def close(self) -> None:
        """Nothing is open."""
