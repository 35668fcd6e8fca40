"""The programs of an installation: which command, which environment, and when it counts as ready."""

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from cadre_local.charts import working_directory
from cadre_local.client.api import CadreApi
from cadre_local.client.http import Endpoint, HttpClient
from cadre_local.errors import CadreError
from cadre_local.paths import Home, file_key, write_private
from cadre_local.supervise.options import UpOptions
from cadre_local.supervise.spec import ProgramSpec

GUARD_MAY_INHERIT = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "CADRE_SANDBOX",
    "CADRE_ANALYZER",
    "CADRE_LOG_LEVEL",
)
"""Nothing else of our environment reaches a guard: a provider's key must not sit beside an agent."""


def controller(options: UpOptions, database_url: str, environ: Mapping[str, str]) -> ProgramSpec:
    """The controller on both ports."""
    home, ports = options.state_home, options.ports
    settings = {
        "CADRE_DATABASE_URL": database_url,
        "CADRE_PUBLIC_LISTEN": f"127.0.0.1:{ports.public}",
        "CADRE_GUARD_LISTEN": f"127.0.0.1:{ports.guard}",
        "CADRE_KEYSTORE": str(home.keystore),
        "CADRE_DESKTOP": "1",
        "CADRE_HOME": str(home.root),
    }
    if not environ.get("CADRE_KEYSTORE_PASSPHRASE"):
        settings["CADRE_KEYSTORE_KEY_FILE"] = str(home.keystore_key)
    api = CadreApi(HttpClient(Endpoint(public_url(ports.public), timeout=5)))
    return ProgramSpec(
        name="controller",
        command=(sys.executable, "-m", "cadre_controller"),
        environ={**environ, "PATH": _search_path(environ), **settings},
        log=home.logs / "controller.log",
        cwd=working_directory(home, options.chart),
        ready=api.ready,
        ready_within=90,
    )


def scripted_model(options: UpOptions, environ: Mapping[str, str]) -> ProgramSpec:
    """The scripted model server; it answers `/v1/models` once it serves."""
    home, port = options.state_home, options.ports.scripted
    client = HttpClient(Endpoint(f"http://127.0.0.1:{port}", timeout=5))
    serve = ("serve", "--scenario", str(options.scripted), "--listen", f"127.0.0.1:{port}")
    return ProgramSpec(
        name="model",
        command=(sys.executable, "-m", "cadre_scripted", *serve, "--record", str(model_record(home))),
        environ=_guard_environ(environ),
        log=home.logs / "model.log",
        cwd=home.root,
        ready=lambda: _answers(client, "/v1/models"),
        ready_within=30,
        stop_grace=5,
    )


def guard(options: UpOptions, agent: str, environ: Mapping[str, str]) -> ProgramSpec:
    """One agent's guard; it starts and owns the agent itself."""
    home = options.state_home
    directory, secret = home.agent(agent), home.bootstrap / file_key(agent)
    settings = {
        "CADRE_AGENT": agent,
        "CADRE_CONTROLLER": f"http://127.0.0.1:{options.ports.guard}",
        "CADRE_BOOTSTRAP_FILE": str(secret),
        "CADRE_GOOSE": options.goose,
        "CADRE_STATE_DIR": str(directory),
        "HOME": str(directory),
    }
    return ProgramSpec(
        name=f"guard:{agent}",
        command=(sys.executable, "-m", "cadre_guard"),
        environ={"CADRE_SANDBOX": "Auto", "CADRE_ANALYZER": "Sidecar", **_guard_environ(environ), **settings},
        log=home.logs / f"guard.{file_key(agent)}.log",
        cwd=home.root,
        prepare=lambda: _renew_secret(directory, secret),
        stop_grace=20,
    )


def public_url(port: int) -> str:
    """The public API on this machine."""
    return f"http://127.0.0.1:{port}"


def model_record(home: Home) -> Path:
    """Every request the scripted model received."""
    return home.logs / "model-record.jsonl"


def _renew_secret(directory: Path, secret: Path) -> None:
    """A secret per start: what an earlier instance knew is worth nothing."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    write_private(secret, secrets.token_urlsafe(32))


def _guard_environ(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: environ[name] for name in GUARD_MAY_INHERIT if name in environ}


def _search_path(environ: Mapping[str, str]) -> str:
    """Our interpreter first, so that a tool server's `python` is the one Cadre was installed with."""
    return os.pathsep.join((str(Path(sys.executable).parent), environ.get("PATH", os.defpath)))


def _answers(client: HttpClient, path: str) -> bool:
    try:
        client.json("GET", path)
    except CadreError:
        return False
    return True
