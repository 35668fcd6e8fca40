"""Where desktop mode keeps its state, and who may read it: one place, so that no program guesses a path."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from cadre_local.errors import CadreError

SOCKET_PATH_LIMIT = 103
"""Bytes in `sun_path` minus the terminator: 103 on macOS, 107 on Linux; the smaller holds everywhere."""

SYSTEM_HOME = Path("/var/lib/cadre")
"""Used by root: Postgres drops to a system user, who cannot enter root's own home."""


@dataclass(frozen=True, slots=True)
class Home:
    """The state directory of one desktop installation."""

    root: Path

    @property
    def pg(self) -> Path:
        """Postgres' data directory."""
        return self.root / "pg"

    @property
    def run(self) -> Path:
        """What is true only while something runs: state, sockets, secrets of this start."""
        return self.root / "run"

    @property
    def sockets(self) -> Path:
        """Postgres' Unix socket; only its own user may enter."""
        return self.run / "pg"

    @property
    def state(self) -> Path:
        """The supervisor's record of what runs."""
        return self.run / "state.json"

    @property
    def lock(self) -> Path:
        """Held for as long as a supervisor lives."""
        return self.run / "lock"

    @property
    def desktop_token(self) -> Path:
        """The secret that the command line trades for a person's token."""
        return self.run / "desktop.token"

    @property
    def bootstrap(self) -> Path:
        """One secret per agent, read by the controller and by that agent's guard."""
        return self.run / "bootstrap"

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.root / "log"

    @property
    def chart(self) -> Path:
        """The documents last applied."""
        return self.root / "chart"

    @property
    def keystore(self) -> Path:
        """Sealed keys and secrets."""
        return self.root / "keystore.json"

    @property
    def keystore_key(self) -> Path:
        """The key that opens the keystore, unless a passphrase does."""
        return self.root / "keystore.key"

    def agent(self, key: str) -> Path:
        """An agent's private directory."""
        return self.root / "agents" / file_key(key)

    def create(self) -> None:
        """Make every directory with its mode, and correct modes that are wider."""
        self._directory(self.root, 0o711 if os.geteuid() == 0 else 0o700)
        self._directory(self.run, 0o711 if os.geteuid() == 0 else 0o700)
        for path in (self.bootstrap, self.logs, self.chart, self.root / "agents"):
            self._directory(path, 0o700)

    def check(self) -> None:
        """Raise `HomePathTooLong` where no Unix socket could be made."""
        socket = len(os.fsencode(self.sockets / ".s.PGSQL.5432"))
        if socket > SOCKET_PATH_LIMIT:
            raise CadreError(
                "HomePathTooLong",
                f"{self.root} makes a socket path of {socket} bytes; Unix allows {SOCKET_PATH_LIMIT}",
                "set CADRE_HOME to a shorter path",
            )

    @staticmethod
    def _directory(path: Path, mode: int) -> None:
        try:
            path.mkdir(mode=mode, parents=True, exist_ok=True)
            path.chmod(mode)
        except OSError as error:
            raise CadreError(
                "HomeNotWritable",
                f"cannot use {path}: {error.strerror}",
                "set CADRE_HOME to a directory of yours",
            ) from error


def find_home(environ: Mapping[str, str]) -> Home:
    """`CADRE_HOME`, else the platform's user data directory (root: /var/lib/cadre)."""
    named = environ.get("CADRE_HOME")
    if named:
        return Home(Path(named).expanduser().resolve())
    if os.geteuid() == 0:
        return Home(SYSTEM_HOME)
    return Home(platformdirs.user_data_path("cadre").resolve())


def cache_path() -> Path:
    """Where downloads live that can be had again."""
    return platformdirs.user_cache_path("cadre")


def file_key(agent: str) -> str:
    """`namespace/name` as a file name."""
    return agent.replace("/", ".")


def write_private(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace a file in one step; it never exists with a wider mode or half its content."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, mode)
        file.write(text)
    temporary.replace(path)
