"""The composition root of the services: what depends on what, started and stopped in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cadre_controller.clock import SystemClock
from cadre_controller.errors import CadreError
from cadre_controller.ids import SortableIds
from cadre_controller.keystore import KeyStore
from cadre_controller.ports import Clock, Ids, Masker
from cadre_controller.services.agent_edits import AgentEdits
from cadre_controller.services.approvals import ApprovalService
from cadre_controller.services.audit import AuditService
from cadre_controller.services.budget_reports import BudgetReports
from cadre_controller.services.budgets import BudgetService
from cadre_controller.services.bundles import BundleService
from cadre_controller.services.chart import ChartService
from cadre_controller.services.dead_letters import DeadLetters
from cadre_controller.services.directory import DirectoryService
from cadre_controller.services.dispatch import Dispatcher
from cadre_controller.services.edits import Edits
from cadre_controller.services.endings import Endings
from cadre_controller.services.freeze import FreezeService
from cadre_controller.services.freezer import Freezer
from cadre_controller.services.groups import Groups
from cadre_controller.services.history import HistoryService
from cadre_controller.services.intake import Intake
from cadre_controller.services.intents import IntentService
from cadre_controller.services.kernel import Kernel
from cadre_controller.services.leases import LeaseService
from cadre_controller.services.live_states import LiveStates
from cadre_controller.services.mails import MailService
from cadre_controller.services.masking import DetectMasker
from cadre_controller.services.messages import MessageService
from cadre_controller.services.pseudonyms import PseudonymService
from cadre_controller.services.reminders import Reminders
from cadre_controller.services.route_approvals import RouteApprovals
from cadre_controller.services.rulings import RulingService
from cadre_controller.services.schedules import ScheduleService
from cadre_controller.services.sessions import SessionService
from cadre_controller.services.spans import SpanService
from cadre_controller.services.state import StateService
from cadre_controller.services.step_effects import StepEffects
from cadre_controller.services.step_requests import StepRequests
from cadre_controller.services.sweeps import Sweep, Sweeper
from cadre_controller.services.tasks import TaskService
from cadre_controller.services.webhooks import WebhookService
from cadre_controller.services.workflows import WorkflowService
from cadre_controller.store.committer import Committer
from cadre_controller.store.listener import Listener
from cadre_controller.store.migrate import migrate
from cadre_controller.store.pool import open_database
from cadre_controller.store.wakeups import Wakeups


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """What the services need to start."""

    database_url: str
    keystore: Path
    keystore_key_file: Path | None = None
    keystore_passphrase: str = ""
    lease_ttl_seconds: float = 15.0
    node_analyzer: bool = False
    """Machines have an analyzer that agents may share."""
    sweep_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the HTTP side calls."""

    kernel: Kernel
    keystore: KeyStore
    masker: Masker
    chart: ChartService
    live_states: LiveStates
    agent_edits: AgentEdits
    bundles: BundleService
    tasks: TaskService
    dead_letters: DeadLetters
    schedules: ScheduleService
    groups: Groups
    reminders: Reminders
    edits: Edits
    webhooks: WebhookService
    mails: MailService
    workflows: WorkflowService
    requests: StepRequests
    messages: MessageService
    state: StateService
    history: HistoryService
    leases: LeaseService
    sessions: SessionService
    approvals: ApprovalService
    intents: IntentService
    pseudonyms: PseudonymService
    budgets: BudgetService
    budget_reports: BudgetReports
    audit: AuditService
    directory: DirectoryService
    spans: SpanService
    freezer: Freezer
    freezes: FreezeService
    rulings: RulingService

    async def ready(self) -> bool:
        """The database answers."""
        try:
            return bool(await self.kernel.db.fetch((), "alive"))
        except CadreError:
            return False

    def end_waits(self) -> None:
        """Let every long poll return now (shutdown)."""
        self.kernel.wakeups.close()


@asynccontextmanager
async def open_services(
    config: ServiceConfig, *, clock: Clock | None = None, ids: Ids | None = None
) -> AsyncIterator[Services]:
    """Open the keystore, migrate, connect, load charts, start committer and sweeps; undo it in order at the
    end.

    Raises KeystoreError, Unavailable.
    """
    keystore = KeyStore.open(
        config.keystore, key_file=config.keystore_key_file, passphrase=config.keystore_passphrase
    )
    await migrate(config.database_url)
    async with AsyncExitStack() as stack:
        wakeups, used_ids = Wakeups(), ids or SortableIds()
        database = await open_database(config.database_url)
        stack.push_async_callback(database.close)
        committer = Committer(config.database_url, wakeups, used_ids)
        await committer.start()
        stack.push_async_callback(committer.stop)
        listener = Listener(config.database_url, wakeups, committer.sender)
        await listener.start()
        stack.push_async_callback(listener.stop)
        kernel = Kernel(database, committer, keystore, clock or SystemClock(), used_ids, wakeups)
        services, masker = build_services(kernel, config)
        stack.callback(masker.close)
        stack.callback(wakeups.close)
        await services.chart.start()
        await services.freezer.refresh()
        follows = {
            "freezes": services.freezer.follow,
            "charts": services.chart.follow,
            "workflows": services.workflows.follow,
            "callers": services.leases.callers.run,
        }
        for name, follow in follows.items():
            stack.push_async_callback(_ended, asyncio.create_task(follow(), name=name))
        await services.leases.grace(services.chart.tenants())
        sweeper = Sweeper(sweeps(services, config.sweep_seconds))
        await sweeper.start()
        stack.push_async_callback(sweeper.stop)
        yield services


def build_services(kernel: Kernel, config: ServiceConfig) -> tuple[Services, DetectMasker]:
    """Wire the services together."""
    ttl = timedelta(seconds=config.lease_ttl_seconds)
    chart = ChartService(kernel, node_analyzer=config.node_analyzer)
    pseudonyms = PseudonymService(kernel, chart)
    masker = DetectMasker(pseudonyms)
    budgets = BudgetService(kernel, chart)
    sessions = SessionService(kernel, chart, pseudonyms, masker)
    freezer = Freezer(kernel, chart)
    directory = DirectoryService(kernel, chart, freezer)
    approvals = ApprovalService(kernel, chart, masker, freezer)
    dispatcher = Dispatcher(chart, LiveStates(kernel, freezer))
    intake = Intake(kernel, chart, dispatcher, sessions, budgets, RouteApprovals(kernel, chart), masker)
    tasks, groups = TaskService(kernel, intake, sessions, approvals), Groups(kernel)
    messages = MessageService(kernel, chart, sessions, masker, 2 * ttl)
    requests = StepRequests(kernel, chart, masker, freezer)
    effects = StepEffects(kernel, chart, tasks, approvals, messages, sessions, requests)
    services = Services(
        kernel=kernel,
        keystore=kernel.keystore,
        masker=masker,
        chart=chart,
        live_states=dispatcher.live,
        agent_edits=AgentEdits(chart),
        bundles=BundleService(kernel, chart),
        tasks=tasks,
        dead_letters=DeadLetters(kernel),
        schedules=ScheduleService(kernel, chart, tasks),
        groups=groups,
        reminders=Reminders(kernel, chart, approvals),
        edits=Edits(chart, masker, pseudonyms),
        webhooks=WebhookService(kernel),
        mails=MailService(kernel, chart, approvals),
        workflows=WorkflowService(kernel, chart, sessions, masker, effects),
        requests=requests,
        messages=messages,
        state=StateService(kernel, chart, sessions, masker),
        history=HistoryService(kernel, chart),
        leases=LeaseService(kernel, chart, Endings(kernel, groups), masker, freezer, messages, ttl),
        sessions=sessions,
        approvals=approvals,
        intents=IntentService(kernel, approvals),
        pseudonyms=pseudonyms,
        budgets=budgets,
        budget_reports=BudgetReports(kernel, chart, budgets),
        audit=AuditService(kernel),
        directory=directory,
        spans=SpanService(kernel),
        freezer=freezer,
        freezes=FreezeService(kernel, chart, directory, freezer, ttl),
        rulings=RulingService(kernel, chart, directory),
    )
    return services, masker


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])


def sweeps(services: Services, every: float) -> tuple[Sweep, ...]:
    """The chores and their rhythm."""
    tenants = services.chart.tenants
    return (
        Sweep("leases", every, lambda: services.leases.reap(tenants())),
        Sweep("approvals", every, lambda: services.approvals.sweep(tenants())),
        Sweep("workflows", every, lambda: services.workflows.sweep(tenants())),
        Sweep("reminders", every, lambda: services.reminders.sweep(tenants())),
        Sweep("messages", every, lambda: services.messages.sweep(tenants())),
        Sweep("groups", every, lambda: services.groups.sweep(tenants())),
        Sweep("schedules", every, lambda: services.schedules.run_due(tenants())),
        Sweep("history", max(every, 600.0), lambda: services.history.sweep(tenants())),
        Sweep("rulings", max(every, 5.0), lambda: services.rulings.sweep(tenants())),
        Sweep("state", max(every, 600.0), lambda: services.state.sweep(tenants())),
        Sweep("reservations", max(every, 5.0), lambda: services.budgets.sweep(tenants())),
        Sweep("budgets", max(every, 5.0), lambda: services.budget_reports.warn(tenants())),
        Sweep("checkpoints", max(every, 300.0), lambda: services.audit.checkpoint_all(tenants())),
        Sweep("pseudonyms", max(every, 600.0), lambda: services.pseudonyms.purge(tenants())),
    )
