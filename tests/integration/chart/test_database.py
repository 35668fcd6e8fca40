"""The chart's own scripts on a real Postgres: first start, TLS for all, backup, restore, renewed keys."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import psutil
import pytest

from cadre_operator.admission.certificates import issue
from tests.integration.chart.rendering import CHART
from tests.support.kube import wait_until
from tests.support.ports import free_port
from tests.support.postgres import run_apart

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(300)]
_UID = pwd.getpwnam("nobody").pw_uid


@dataclass
class Database:
    """One pod's worth of Postgres, with the pod's paths moved into a folder."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def script(self, name: str) -> list[str]:
        text = (CHART / "files" / name).read_text().replace("=/tmp", f"={self.folder}/socket")
        for path in ("/etc/cadre", "/var/lib/cadre", "/backup"):
            text = text.replace(path, f"{self.folder}{path}")
        text = text.replace("sleep 30", "sleep 1")
        target = self.folder / name
        target.write_text(text)
        return ["/bin/sh", str(target)]

    @property
    def url(self) -> str:
        root = self.folder / "etc/cadre/tls/ca.crt"
        return f"postgresql://cadre@localhost:{self.port}/cadre?sslmode=verify-full&sslrootcert={root}"

    def environment(self, **more: str) -> dict[str, str]:
        # PATH as in an image: the scripts find Debian's programs by themselves
        base = {"PATH": "/usr/bin:/bin", "PGPORT": str(self.port), "PGPASSWORD": "secret", "LANG": "C.UTF-8"}
        return {**base, "CADRE_DATABASE_URL": self.url, **more}

    def run(self, command: list[str], **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            **_as_user(),
        )

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.script("postgres-start.sh"),
                env=self.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                **_as_user(),
            )
        wait_until("Postgres to answer", self._answers, 120)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
        return self.run(self.script("postgres-ready.sh")).returncode == 0

    def stop(self) -> int:
        """End it as the pod's preStop does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def left(self) -> list[int]:
        """What runs of it."""
        return [p.pid for p in psutil.process_iter(["cmdline"]) if str(self.folder) in str(p.info["cmdline"])]

    def certify(self) -> None:
        """Give it fresh keys of a fresh authority, with owner and mode of a mounted Secret."""
        made = issue(("localhost",), datetime.now(UTC), None)
        folder = self.folder / "etc/cadre/tls"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (
            ("ca.crt", made.bundle),
            ("tls.crt", made.serving),
            ("tls.key", made.serving_key),
        ):
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o640 if os.geteuid() == 0 else 0o600)
            if os.geteuid() == 0:
                os.chown(folder / name, 0, _UID)

    def execute(self, statement: str, url: str = "", password: str = "secret") -> object:
        async def run() -> object:
            connection = await asyncpg.connect(url or self.url, password=password)
            try:
                return await connection.fetchval(statement)
            finally:
                await connection.close()

        return run_apart(run)


def _as_user() -> dict[str, int]:
    return {"user": _UID, "group": _UID} if os.geteuid() == 0 else {}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database that started for the first time; skips where no Postgres is installed."""
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        pytest.skip("no Postgres in /usr/lib/postgresql")
    folder = Path(f"/tmp/cadre-db-{free_port()}")
    for name in ("etc/cadre/postgres", "etc/cadre/password", "var/lib/cadre", "backup", "socket"):
        (folder / name).mkdir(parents=True)
    (folder / "etc/cadre/password/password").write_text("secret")
    shutil.copy(CHART / "files/postgres-hba.conf", folder / "etc/cadre/postgres/pg_hba.conf")
    made = Database(folder, free_port())
    made.certify()
    for path in [folder, *folder.rglob("*")]:
        if os.geteuid() == 0 and path.parent.name != "tls":
            os.chown(path, _UID, _UID)
    made.start()
    try:
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.stop()
        wait_until("nothing of it to be left", lambda: not made.left())
        shutil.rmtree(folder, ignore_errors=True)


def test_migrations_run_over_verified_tls_and_nothing_else_gets_in(database: Database) -> None:
    command = [sys.executable, "-m", "cadre_controller", "migrate"]
    done = subprocess.run(
        command, env=database.environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert database.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") is True
    plain = f"postgresql://cadre@localhost:{database.port}/cadre?sslmode=disable"
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="no encryption"):
        database.execute("SELECT 1", plain)
    with pytest.raises(asyncpg.InvalidPasswordError):
        database.execute("SELECT 1", password="wrong")


def test_a_backup_is_whole_or_not_there_and_can_be_restored(database: Database) -> None:
    database.execute("CREATE TABLE kept (n int)")
    database.execute("INSERT INTO kept VALUES (42)")
    folder = database.folder / "backup"
    for name in ("cadre-20200101T000000Z.dump", "cadre-20200102T000000Z.dump", "x.dump.partial"):
        (folder / name).write_text("old")
    done = database.run(database.script("backup.sh"), CADRE_BACKUP_KEEP="2")
    assert done.returncode == 0, done.stderr
    dumps = sorted(path.name for path in folder.iterdir())
    assert len(dumps) == 2 and dumps[0] == "cadre-20200102T000000Z.dump", dumps
    broken = database.run(database.script("backup.sh"), CADRE_BACKUP_KEEP="2", PGPASSWORD="wrong")
    assert broken.returncode != 0
    assert sorted(path.name for path in folder.glob("*.dump")) == dumps
    database.execute("DROP TABLE kept")
    programs = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"))))
    restore = [
        str(programs / "pg_restore"),
        "--clean",
        "--if-exists",
        "--exit-on-error",
        "--single-transaction",
    ]
    restored = database.run([*restore, f"--dbname={database.url}", str(folder / dumps[1])])
    assert restored.returncode == 0, restored.stderr
    assert database.execute("SELECT n FROM kept") == 42


def test_renewed_certificates_are_taken_up_without_a_restart(database: Database) -> None:
    process = database.process
    database.certify()

    def served() -> bool:
        try:
            return database.execute("SELECT 1") == 1
        except OSError:  # the former certificate, which the new authority did not sign
            return False

    wait_until("the new certificate to be served", served, 60)
    assert process is not None and process.poll() is None


def test_it_ends_in_order_and_starts_again_with_its_data(database: Database) -> None:
    database.execute("CREATE TABLE survives ()")
    assert database.stop() == 0
    database.start()
    assert database.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'survives'") == 1


def test_data_of_another_version_is_refused_by_name(database: Database) -> None:
    database.stop()
    marker = database.folder / "var/lib/cadre/data/PG_VERSION"
    version = marker.read_text()
    marker.write_text("9\n")
    refused = database.run(database.script("postgres-start.sh"))
    assert refused.returncode == 1
    assert "The data is of Postgres 9" in refused.stderr
    marker.write_text(version)
    database.start()
