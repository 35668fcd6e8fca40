"""`python -m cadre_controller migrate`: what an upgrade runs first, once or many times."""

import os
import subprocess
import sys

import asyncpg
import pytest

from cadre_controller.store.loader import load_migrations

pytestmark = pytest.mark.postgres


def migrated(**environment: str) -> subprocess.CompletedProcess[str]:
    base = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    command = [sys.executable, "-m", "cadre_controller", "migrate"]
    return subprocess.run(
        command, env=base | environment, capture_output=True, text=True, timeout=120, check=False
    )


async def test_it_brings_the_schema_up_to_date_and_may_be_repeated(dsn: str) -> None:
    for _ in range(2):
        done = migrated(CADRE_DATABASE_URL=dsn)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"the database has schema {load_migrations()[-1][0]}\n"
    connection = await asyncpg.connect(dsn)
    try:
        version = load_migrations()[-1][0] + 1
        await connection.execute("INSERT INTO schema_migrations VALUES ($1, 'later')", version)
    finally:
        await connection.close()
    refused = migrated(CADRE_DATABASE_URL=dsn)
    assert refused.returncode == 2
    assert "use a newer one" in refused.stderr


def test_what_is_missing_is_named() -> None:
    refused = migrated()
    assert refused.returncode == 2
    assert "CADRE_DATABASE_URL is not set" in refused.stderr
    absent = migrated(CADRE_DATABASE_URL="postgresql://127.0.0.1:1/x")
    assert absent.returncode == 2
    assert "cannot connect to Postgres" in absent.stderr
