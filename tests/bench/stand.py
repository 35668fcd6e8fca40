"""The controller as desktop mode runs it: durable embedded Postgres, Acme's chart, its own state."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

from cadre_local import postgres
from cadre_local.client.api import CadreApi
from cadre_local.client.http import Endpoint, HttpClient
from cadre_local.paths import Home, file_key, write_private
from cadre_local.ports import pick_free
from cadre_local.state import Ports
from cadre_local.supervise import programs
from cadre_local.supervise.options import UpOptions
from tests.bench.processes import running
from tests.support.scripted import ACME

REQUESTER = "acme/j-gross"
AGENTS = ("acme/marketing-1", "acme/finance-1")
_CHART = ("org", "people", "profiles", "policies", "agents", "models", "tools")
_MANY = 1_000_000


@dataclass(frozen=True)
class Stand:
    """A running controller and what is needed to talk to it."""

    home: Home
    ports: Ports
    controller: psutil.Process
    database: psutil.Process

    @property
    def public_url(self) -> str:
        """The persons' port."""
        return f"http://127.0.0.1:{self.ports.public}"

    @property
    def guard_url(self) -> str:
        """The guards' port."""
        return f"http://127.0.0.1:{self.ports.guard}"

    @property
    def database_url(self) -> str:
        """The database, as its superuser."""
        return postgres.socket_url(self.home)

    def api(self, person: str = "") -> CadreApi:
        """The public API as a person; empty = the tenant's admin."""
        api = CadreApi(HttpClient(Endpoint(self.public_url, timeout=30)))
        api.log_in(self.home.desktop_token.read_text().strip(), person)
        return api

    def bootstrap(self, agent: str) -> Path:
        """The file with the secret of an agent's guard."""
        return self.home.bootstrap / file_key(agent)


@contextmanager
def stand(model_port: int, concurrency: int) -> Iterator[Stand]:
    """Start it; `model_port` is where the chart's model provider listens. Nothing is left behind."""
    root = Path(tempfile.mkdtemp(prefix="cadre-bench-"))
    root.chmod(0o711)
    try:
        home = Home(root / "h")
        home.create()
        write_private(home.desktop_token, secrets.token_urlsafe(32))
        for agent in AGENTS:
            write_private(home.bootstrap / file_key(agent), secrets.token_urlsafe(32))
        chart = write_chart(root / "chart", model_port, concurrency)
        ports = Ports(public=pick_free(), guard=pick_free(), scripted=0)
        options = UpOptions(home=home.root, ports=ports, chart=chart)
        with (
            running(postgres.prepare(home)) as database,
            running(programs.controller(options, postgres.socket_url(home), os.environ)) as controller,
        ):
            made = Stand(home, ports, controller, database)
            made.api().apply([(path.name, path.read_text()) for path in sorted(chart.glob("*.yaml"))])
            yield made
    finally:
        shutil.rmtree(root, ignore_errors=True)


def write_chart(target: Path, model_port: int, concurrency: int) -> Path:
    """Acme with our model server, more turns at once, and budgets and rates that no bench reaches."""
    target.mkdir()
    for name in _CHART:
        documents = list(yaml.safe_load_all((ACME / f"{name}.yaml").read_text(encoding="utf-8")))
        for document in documents:
            _adapt(document["kind"], document["spec"], model_port, concurrency)
        (target / f"{name}.yaml").write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    shutil.copy(ACME / "ledger.py", target / "ledger.py")
    return target


def _adapt(kind: str, spec: dict[str, object], model_port: int, concurrency: int) -> None:
    if kind == "ModelProvider" and "openai" in spec:
        spec["openai"] = {"baseURL": f"http://127.0.0.1:{model_port}/v1"}
        spec["limits"] = {"requestsPerMinute": _MANY, "timeout": "120s"}
    if kind == "Agent" and "scaling" in spec:
        spec["scaling"] = {"min": 1, "max": 1, "concurrency": concurrency}
    if kind == "OrgNode" and isinstance(budget := spec.get("budget"), dict):
        budget |= {"amount": f"{_MANY}.00", "tokens": 1000 * _MANY}
