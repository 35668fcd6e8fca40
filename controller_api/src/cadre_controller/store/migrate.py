"""Forward-only migrations, one process at a time; a schema newer than this program is refused, never guessed
at."""

from typing import Any

import asyncpg

from cadre_controller.errors import Unavailable
from cadre_controller.store.loader import load_migrations
from cadre_controller.store.pool import CONNECTION_ERRORS

LOCK_KEY = 0x63616472
MINIMUM_SERVER = 150_000


class SchemaNewer(Unavailable):
    """The database was migrated by a later version of this program."""


async def migrate(dsn: str) -> int:
    """Bring the schema up to date; returns its version. Raises Unavailable, SchemaNewer."""
    try:
        connection = await asyncpg.connect(dsn)
    except CONNECTION_ERRORS as error:
        raise Unavailable(f"cannot connect to Postgres ({type(error).__name__})") from error
    try:
        return await _migrate(connection)
    finally:
        await connection.close()


async def _migrate(connection: Any) -> int:
    version = int(await connection.fetchval("SELECT current_setting('server_version_num')"))
    if version < MINIMUM_SERVER:
        raise Unavailable(f"Postgres 15 or later is needed, this is {version // 10_000}")
    await connection.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
    try:
        return await _apply_missing(connection)
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", LOCK_KEY)


async def _apply_missing(connection: Any) -> int:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations "
        "(version int PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    done = await connection.fetchval("SELECT coalesce(max(version), 0) FROM schema_migrations")
    migrations = load_migrations()
    latest = migrations[-1][0]
    if done > latest:
        raise SchemaNewer(f"the database has schema {done}, this program knows {latest}: use a newer one")
    for number, name, sql in migrations:
        if number > done:
            async with connection.transaction():
                await connection.execute(sql)
                await connection.execute(
                    "INSERT INTO schema_migrations (version, name) VALUES ($1, $2)", number, name
                )
    return latest
