"""Everything a handler can reach, put together once: services below, gateways beside, one event that says
stop.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import aiohttp

from cadre_api.v1alpha1 import Analyzer
from cadre_controller.auth.cluster import ClusterApi
from cadre_controller.auth.entrance import GuardEntrance, OperatorAccess
from cadre_controller.auth.grants import DesktopGrants
from cadre_controller.auth.kubernetes_login import KubernetesLogin
from cadre_controller.auth.pods import PodIdentities
from cadre_controller.auth.tokens import Tokens
from cadre_controller.clock import SystemClock
from cadre_controller.gateways.model.credentials import Credentials
from cadre_controller.gateways.model.forward import Forwarder, ForwardTimes
from cadre_controller.gateways.model.gateway import ModelGateway
from cadre_controller.gateways.model.health import ProviderHealth
from cadre_controller.gateways.model.ledger import Ledger
from cadre_controller.gateways.model.scan import EgressScan
from cadre_controller.gateways.requests.reach import CheckedResolver
from cadre_controller.gateways.requests.sender import RequestSender, request_session
from cadre_controller.gateways.tools.gateway import ToolGateway
from cadre_controller.gateways.tools.greeting import Greetings
from cadre_controller.gateways.tools.mesh import MeshTools
from cadre_controller.gateways.tools.servers import ToolServers
from cadre_controller.ids import SortableIds
from cadre_controller.mail_sender import send_mails
from cadre_controller.metrics import Metrics
from cadre_controller.ports import Clock
from cadre_controller.refusals import ShuttingDown
from cadre_controller.request_runner import RequestRunner
from cadre_controller.services.assembly import ServiceConfig, Services, open_services
from cadre_controller.settings import Settings
from cadre_controller.telemetry import Tracing
from cadre_controller.webhook_sender import send_webhooks

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Runtime:
    """The composition root's product."""

    settings: Settings
    services: Services
    tokens: Tokens
    grants: DesktopGrants
    guards: GuardEntrance
    operator: OperatorAccess | None
    kubernetes_login: KubernetesLogin
    models: ModelGateway
    forwarder: Forwarder
    health: ProviderHealth
    tools: ToolGateway
    servers: ToolServers
    metrics: Metrics
    tracing: Tracing
    clock: Clock
    stopping: asyncio.Event

    async def unless_stopping(self, work: Awaitable[T]) -> T:
        """The result of a wait without effects, given up as soon as the controller stops (ShuttingDown)."""
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise ShuttingDown
        finally:
            for waiting in (task, stop):
                waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await stop


@asynccontextmanager
async def open_runtime(settings: Settings, times: ForwardTimes | None = None) -> AsyncIterator[Runtime]:
    """Open everything in order and close it in reverse."""
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services(_service_config(settings)))
        http = await stack.enter_async_context(_client_session())
        tracing = Tracing(services.spans, settings.otlp_endpoint)
        stack.push_async_callback(tracing.close)
        flusher = asyncio.create_task(tracing.run())
        stack.push_async_callback(_cancelled, flusher)
        if settings.webhook_url and settings.webhook_secret_file is not None:
            secret = settings.webhook_secret_file.read_bytes().strip()
            sender = asyncio.create_task(send_webhooks(services, http, settings.webhook_url, secret))
            stack.push_async_callback(_cancelled, sender)
        await stack.enter_async_context(_requests(settings, services))
        if settings.mail_server is not None:
            mailing = asyncio.create_task(send_mails(services, settings.mail_server))
            stack.push_async_callback(_cancelled, mailing)
        runtime = _compose(settings, services, http, tracing, times or ForwardTimes())
        stack.push_async_callback(runtime.servers.close)
        greeter = asyncio.create_task(Greetings(runtime.servers, services.chart).run())
        stack.push_async_callback(_cancelled, greeter)
        yield runtime


@asynccontextmanager
async def _requests(settings: Settings, services: Services) -> AsyncIterator[None]:
    """Send what workflows ask of services outside."""
    listed = settings.private_hosts.includes
    async with request_session(CheckedResolver(listed)) as http:
        credentials = Credentials(os.environ, services.keystore.get_secret)
        sender = RequestSender(http, credentials, listed)
        runner = asyncio.create_task(RequestRunner(services.kernel, services.requests, sender.send).run())
        try:
            yield
        finally:
            await _cancelled(runner)


def _compose(
    settings: Settings, services: Services, http: aiohttp.ClientSession, tracing: Tracing, times: ForwardTimes
) -> Runtime:
    clock, metrics, health, stopping = SystemClock(), Metrics(), ProviderHealth(), asyncio.Event()
    credentials = Credentials(os.environ, services.keystore.get_secret)
    servers = ToolServers(http, credentials, clock)
    ledger = Ledger(services.budgets, services.tasks, metrics)
    scan = EgressScan(services.masker)
    mesh = MeshTools(services, clock, stopping)
    grants = DesktopGrants(settings.desktop, settings.desktop_token_file, settings.bootstrap_dir)
    account = settings.cluster_account
    cluster = ClusterApi(account, http) if account is not None else None
    pods = PodIdentities(cluster, settings.guard_images) if cluster is not None else None
    return Runtime(
        settings=settings,
        services=services,
        tokens=Tokens(services.keystore.jwt_key(), clock, SortableIds()),
        grants=grants,
        guards=GuardEntrance(grants, pods),
        operator=OperatorAccess(cluster, settings.operator_account, clock) if cluster is not None else None,
        kubernetes_login=KubernetesLogin(settings.login_key_file, cluster, clock),
        models=ModelGateway(services, scan, settings.local_hosts.includes),
        forwarder=Forwarder(http, credentials, health, ledger, clock, tracing, times),
        health=health,
        tools=ToolGateway(services, servers, mesh, metrics, tracing, clock),
        servers=servers,
        metrics=metrics,
        tracing=tracing,
        clock=clock,
        stopping=stopping,
    )


def _service_config(settings: Settings) -> ServiceConfig:
    return ServiceConfig(
        database_url=settings.database_url,
        keystore=settings.keystore,
        keystore_key_file=settings.keystore_key_file,
        keystore_passphrase=settings.keystore_passphrase,
        lease_ttl_seconds=settings.lease_ttl,
        node_analyzer=settings.analyzer is Analyzer.NODE,
    )


def _client_session() -> aiohttp.ClientSession:
    """For upstreams: no cookies, no proxy from the environment, as many connections as there are streams."""
    connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=30)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
